//! What stands between s3s and the objects: whose key signed, with which token, until when, for what.
//!
//! s3s checks the signature and nothing else: it does not look at the session token.

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

/// Says what time it is: the wall clock, and in tests whatever they say.
pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Who may come in. Cheap to clone: s3s wants one for each of its traits.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) issuer: KeyPair,
    pub(super) sessions: Arc<Sessions>,
    pub(super) clock: Clock,
    /// Where s3s-fs keeps the objects.
    pub(super) root: PathBuf,
}

/// What the key of a request may do. Only [`Gate::rights`] makes one.
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

    // The rest lets nobody in or out: it is for `mend`.

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
    /// Whose key signed, and whether its token came along.
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

/// Asks the policy of a session about the request as the store will understand it.
fn permit(policy: &Policy, cx: &S3AccessContext<'_>, query: &Form) -> S3Result<()> {
    let need = operation::need(cx.s3_op().name()).ok_or_else(refusal::access_denied)?;
    match (need, cx.s3_path()) {
        (Need::Object(any_of), S3Path::Object { bucket, key }) => on_object(policy, any_of, bucket, key),
        (Need::Bucket(any_of), S3Path::Bucket { bucket }) => {
            ask(policy, Question { any_of, resource: bucket, prefix: None })
        }
        (Need::Listing, S3Path::Bucket { bucket }) => {
            let prefix = query.only("prefix").map_err(|_| refusal::access_denied())?.unwrap_or_default();
            // s3s-fs lists without leading slashes, whatever was asked for.
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
    // Before the policy is asked: `media/../x` begins with `media/` and is not there.
    plain(key)?;
    ask(policy, Question { any_of, resource: &format!("{bucket}/{key}"), prefix: None })
}

fn ask(policy: &Policy, question: Question<'_>) -> S3Result<()> {
    if policy.allows(question) { Ok(()) } else { Err(refusal::access_denied()) }
}

fn plain(key: &str) -> S3Result<()> {
    if operation::is_plain_key(key) { Ok(()) } else { Err(refusal::invalid_key()) }
}

/// The session token of a request: a header, or a query parameter where the URL is signed.
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

/// Bucket and key of `x-amz-copy-source`, read as s3s itself reads it.
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
