//! Uploads by an HTML form (`PostObject`), which Scopegate does not offer.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use http::Method;
use http::header::CONTENT_TYPE;
use http1::Fields;

const FORM: &[u8] = b"multipart/form-data";

/// Checks whether a content type is that of a form with files.
pub(crate) fn is_form(content_type: &[u8]) -> bool {
    content_type.get(..FORM.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORM))
}

/// Checks whether a request is an upload by a form. Its body has the credentials, if there are any.
pub(crate) fn is_form_upload(method: &Method, fields: &Fields) -> bool {
    *method == Method::POST && fields.get(CONTENT_TYPE.as_str()).is_some_and(is_form)
}
