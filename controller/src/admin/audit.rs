//! The audit log, read by pages.
//!
//! Who may read it is the table's decision, what is in it the event loop's; here a page is asked for and handed on. A
//! damaged record is said as such: it is a matter for whoever keeps the disk, and no reason for anything else to stop.
//! Who did what is decided in the core, where requests are answered; nothing is recorded here.

use ferry_proto::admin::v1 as wire;
use tonic::Request;

use super::Admin;
use crate::{limits, status::Failure, wire as translate};

pub(super) async fn list(
    admin: &Admin,
    request: Request<wire::ListAuditRequest>,
) -> Result<wire::ListAuditResponse, Failure> {
    let query = translate::audit_query(request.into_inner())?;
    let page = admin.handle.audit(query, limits::REQUEST_TIMEOUT).await?;
    Ok(translate::audit_page(page.map_err(Failure::Audit)?))
}
