//! Google's errors: a status with its name, a text, and details that say whose error it is (google.rpc.Status, and
//! FCM's own reference of error codes).

use super::super::record::Answer;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// FCM's error codes, each with HTTP status and canonical name.
const CODES: [(&str, u16, &str, &str); 8] = [
    (
        "INVALID_ARGUMENT",
        400,
        "INVALID_ARGUMENT",
        "Request contains an invalid argument.",
    ),
    (
        "SENDER_ID_MISMATCH",
        403,
        "PERMISSION_DENIED",
        "SenderId mismatch",
    ),
    (
        "UNREGISTERED",
        404,
        "NOT_FOUND",
        "Requested entity was not found.",
    ),
    (
        "QUOTA_EXCEEDED",
        429,
        "RESOURCE_EXHAUSTED",
        "Resource has been exhausted (e.g. check quota).",
    ),
    ("INTERNAL", 500, "INTERNAL", "Internal error encountered."),
    (
        "UNAVAILABLE",
        503,
        "UNAVAILABLE",
        "The service is currently unavailable.",
    ),
    (
        "THIRD_PARTY_AUTH_ERROR",
        401,
        "UNAUTHENTICATED",
        "Auth error from APNS or Web Push Service",
    ),
    ("UNSPECIFIED_ERROR", 500, "UNKNOWN", "Unknown error."),
];

/// A refusal in Google's form.
#[derive(Debug)]
pub(super) struct GoogleError {
    pub(super) code: u16,
    status: &'static str,
    message: String,
    details: Vec<Value>,
    /// What goes into the journal.
    reason: String,
    retry_after: Option<u64>,
}

impl GoogleError {
    /// One of FCM's own codes; one that FCM does not have is passed on as it is, with `status`.
    pub(super) fn fcm(code: &str, status: Option<u16>) -> Self {
        let (usual, name, message) = CODES
            .iter()
            .find(|(known, ..)| *known == code)
            .map_or((500, "UNKNOWN", "Unknown error."), |&(_, s, n, m)| {
                (s, n, m)
            });
        Self {
            code: status.unwrap_or(usual),
            status: name,
            message: message.to_owned(),
            details: vec![json!({ "@type": FCM_ERROR, "errorCode": code })],
            reason: code.to_owned(),
            retry_after: None,
        }
    }

    /// The code that goes with a status when a fate or fault names none.
    pub(super) fn usual_code(status: u16) -> &'static str {
        CODES
            .iter()
            .find(|(_, known, ..)| *known == status)
            .map_or("UNSPECIFIED_ERROR", |(code, ..)| code)
    }

    /// The registration token is none.
    pub(super) fn bad_token() -> Self {
        Self {
            message: "The registration token is not a valid FCM registration token".to_owned(),
            ..Self::fcm("INVALID_ARGUMENT", None)
        }
    }

    /// A field is wrong.
    pub(super) fn field(field: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        Self {
            message: description.clone(),
            details: vec![json!({
                "@type": BAD_REQUEST,
                "fieldViolations": [{ "field": field, "description": description }],
            })],
            ..Self::fcm("INVALID_ARGUMENT", None)
        }
    }

    /// The message is larger than FCM takes.
    pub(super) fn too_big() -> Self {
        Self {
            message: "Android message is too big".to_owned(),
            ..Self::fcm("INVALID_ARGUMENT", None)
        }
    }

    /// No access token, or none that is good (any more).
    pub(super) fn unauthenticated() -> Self {
        Self {
            code: 401,
            status: "UNAUTHENTICATED",
            message: "Request had invalid authentication credentials. Expected OAuth 2 access \
                      token, login cookie or other valid authentication credential."
                .to_owned(),
            details: vec![json!({
                "@type": ERROR_INFO,
                "reason": "ACCESS_TOKEN_EXPIRED",
                "domain": "googleapis.com",
            })],
            reason: "UNAUTHENTICATED".to_owned(),
            retry_after: None,
        }
    }

    /// The service account may not send for this project, or there is none.
    pub(super) fn denied(project: &str) -> Self {
        Self {
            code: 403,
            status: "PERMISSION_DENIED",
            message: format!(
                "Permission 'cloudmessaging.messages.create' denied on resource \
                 '//cloudresourcemanager.googleapis.com/projects/{project}' (or it may not exist)."
            ),
            details: vec![json!({
                "@type": ERROR_INFO,
                "reason": "IAM_PERMISSION_DENIED",
                "domain": "cloudresourcemanager.googleapis.com",
            })],
            reason: "PERMISSION_DENIED".to_owned(),
            retry_after: None,
        }
    }

    /// No such method of the API.
    pub(super) fn no_method() -> Self {
        Self {
            code: 404,
            status: "NOT_FOUND",
            message: "Method not found.".to_owned(),
            details: Vec::new(),
            reason: "NOT_FOUND".to_owned(),
            retry_after: None,
        }
    }

    /// Ask again after so many seconds.
    #[must_use]
    pub(super) fn retry_after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after = seconds;
        self
    }

    /// As the client gets it.
    pub(super) fn response(&self) -> Response<Bytes> {
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "status": self.status,
        });
        if !self.details.is_empty() {
            error["details"] = Value::from(self.details.clone());
        }
        let mut response = json_response(self.code, &json!({ "error": error }));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        response
    }

    /// As it is written down.
    pub(super) fn answer(&self) -> Answer {
        Answer {
            status: self.code,
            reason: Some(self.reason.clone()),
            id: None,
        }
    }
}

/// A JSON answer.
pub(super) fn json_response(status: u16, body: &Value) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json; charset=UTF-8")
        .body(body.to_string().into())
        .expect("a status from 200 to 599 and a header of ours make a response")
}
