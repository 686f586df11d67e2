//! Access control between s3s and the objects: the key, the session token, its expiry and its policy.
//!
//! s3s checks the signature and ignores the session token.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use http::{HeaderMap, Uri};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{
    AbortMultipartUploadInput, CompleteMultipartUploadInput, CopySource, CreateMultipartUploadInput,
    DeleteObjectsInput, ListObjectsInput, ListObjectsV2Input, ListPartsInput, UploadPartCopyInput,
    UploadPartInput,
};
use s3s::path::S3Path;
use s3s::{S3Request, S3Result};

use super::form::Form;
use super::mend;
use super::operation::{self, Need};
use super::policy::{Policy, Question};
use super::refusal;
use super::session::{KeyPair, Sessions};

/// The source of the time: the wall clock, or a clock that a test controls.
pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The access control of the store. Cheap to clone, since s3s takes one for each of its traits.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) issuer: KeyPair,
    pub(super) sessions: Arc<Sessions>,
    pub(super) clock: Clock,
    /// The directory of s3s-fs.
    pub(super) root: PathBuf,
}

/// The rights of the key behind a request. Only [`Gate::rights`] creates them.
#[derive(Clone)]
enum Rights {
    Everything,
    Session(Arc<Policy>),
}

#[async_trait]
impl S3Auth for Gate {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.issuer.access_key {
            return Ok(self.issuer.secret_key.clone());
        }
        let session = self.sessions.alive(access_key, (self.clock)());
        session.map(|session| session.secret_key).ok_or_else(refusal::unknown_access_key)
    }
}

#[async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let rights = self.rights(cx)?;
        let query = Form::parse(cx.uri().query().unwrap_or_default()).ok_or_else(refusal::access_denied)?;
        if let Rights::Session(policy) = &rights {
            permit(policy, cx, &query)?;
        }
        if let Some((_, key)) = copy_source(cx.headers())? {
            plain(&key)?;
        }
        mend::check(cx, &query, &self.root)?;
        cx.extensions_mut().insert(rights);
        Ok(())
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let rights = request.extensions.get::<Rights>().ok_or_else(refusal::access_denied)?;
        for object in &request.input.delete.objects {
            plain(&object.key)?;
            if object.version_id.is_some() {
                return Err(refusal::no_such_version());
            }
            if let Rights::Session(policy) = rights {
                on_object(policy, operation::DELETE_OBJECT, &request.input.bucket, &object.key)?;
            }
        }
        Ok(())
    }

    // The other hooks decide nothing: they let `mend` adjust the request.

    async fn list_objects(&self, request: &mut S3Request<ListObjectsInput>) -> S3Result<()> {
        mend::listing(&mut request.input.delimiter, &mut request.input.encoding_type)
    }

    async fn list_objects_v2(&self, request: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        mend::listing(&mut request.input.delimiter, &mut request.input.encoding_type)
    }

    async fn create_multipart_upload(&self, r: &mut S3Request<CreateMultipartUploadInput>) -> S3Result<()> {
        mend::upload(r)
    }

    async fn upload_part(&self, request: &mut S3Request<UploadPartInput>) -> S3Result<()> {
        mend::upload(request)
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        mend::upload(request)
    }

    async fn list_parts(&self, request: &mut S3Request<ListPartsInput>) -> S3Result<()> {
        mend::upload(request)
    }

    async fn complete_multipart_upload(
        &self,
        request: &mut S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<()> {
        mend::upload(request)
    }

    async fn abort_multipart_upload(&self, r: &mut S3Request<AbortMultipartUploadInput>) -> S3Result<()> {
        mend::upload(r)
    }
}

impl Gate {
    /// Returns the rights of the key that signed, after checking the session token.
    fn rights(&self, cx: &S3AccessContext<'_>) -> S3Result<Rights> {
        let signer = cx.credentials().ok_or_else(refusal::access_denied)?;
        let token = token(cx.headers(), cx.uri())?;
        if signer.access_key == self.issuer.access_key {
            return if token.is_none() { Ok(Rights::Everything) } else { Err(refusal::invalid_token()) };
        }
        let session = self
            .sessions
            .alive(&signer.access_key, (self.clock)())
            .ok_or_else(refusal::unknown_access_key)?;
        if !token.is_some_and(|token| session.token_is(&token)) {
            return Err(refusal::invalid_token());
        }
        Ok(Rights::Session(session.policy))
    }
}

/// Checks a request against the policy of its session, as the store will understand it.
fn permit(policy: &Policy, cx: &S3AccessContext<'_>, query: &Form) -> S3Result<()> {
    let need = operation::need(cx.s3_op().name()).ok_or_else(refusal::access_denied)?;
    match (need, cx.s3_path()) {
        (Need::Object(any_of), S3Path::Object { bucket, key }) => on_object(policy, any_of, bucket, key),
        (Need::Bucket(any_of), S3Path::Bucket { bucket }) => {
            ask(policy, Question { any_of, resource: bucket, prefix: None })
        }
        (Need::Listing, S3Path::Bucket { bucket }) => {
            let prefix = query.only("prefix").map_err(|_| refusal::access_denied())?.unwrap_or_default();
            // s3s-fs drops leading slashes from the prefix.
            let prefix = Some(prefix.trim_start_matches('/'));
            ask(policy, Question { any_of: operation::LIST_BUCKET, resource: bucket, prefix })
        }
        (Need::Copy, S3Path::Object { bucket, key }) => {
            let (from, source) = copy_source(cx.headers())?.ok_or_else(refusal::access_denied)?;
            on_object(policy, operation::GET_OBJECT, &from, &source)?;
            on_object(policy, operation::PUT_OBJECT, bucket, key)
        }
        (Need::EachKey, S3Path::Bucket { .. }) => Ok(()),
        _ => Err(refusal::access_denied()),
    }
}

fn on_object(policy: &Policy, any_of: &[&str], bucket: &str, key: &str) -> S3Result<()> {
    // Checked before the policy: `media/../x` begins with `media/` but names something else.
    plain(key)?;
    ask(policy, Question { any_of, resource: &format!("{bucket}/{key}"), prefix: None })
}

fn ask(policy: &Policy, question: Question<'_>) -> S3Result<()> {
    if policy.allows(question) { Ok(()) } else { Err(refusal::access_denied()) }
}

fn plain(key: &str) -> S3Result<()> {
    if operation::is_plain_key(key) { Ok(()) } else { Err(refusal::invalid_key()) }
}

/// Returns the session token of a request, from its header or from the query of a presigned URL.
fn token(headers: &HeaderMap, uri: &Uri) -> S3Result<Option<String>> {
    let mut presented = headers.get_all("x-amz-security-token").iter();
    match (presented.next(), presented.next()) {
        (None, _) => Form::parse(uri.query().unwrap_or_default())
            .and_then(|query| query.only("X-Amz-Security-Token").ok().map(|token| token.map(str::to_owned)))
            .ok_or_else(refusal::invalid_token),
        (Some(token), None) => match token.to_str() {
            Ok(token) => Ok(Some(token.to_owned())),
            Err(_) => Err(refusal::invalid_token()),
        },
        (Some(_), Some(_)) => Err(refusal::invalid_token()),
    }
}

/// Returns bucket and key of `x-amz-copy-source`, parsed by s3s itself.
fn copy_source(headers: &HeaderMap) -> S3Result<Option<(String, String)>> {
    let mut named = headers.get_all("x-amz-copy-source").iter();
    let Some(source) = named.next() else { return Ok(None) };
    let source = source.to_str().ok().and_then(|source| CopySource::parse(source).ok());
    match (source, named.next()) {
        (Some(CopySource::Bucket { bucket, key, version_id: None }), None) => {
            Ok(Some((bucket.into(), key.into())))
        }
        _ => Err(refusal::access_denied()),
    }
}
