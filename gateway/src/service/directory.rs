//! `Directory`: the network's statements, and the way in for new ones.

use std::pin::Pin;

use bytes::Bytes;
use envelope::Address;
use exchange::{Refusal, Rows as _};
use proto::v1;
use proto::v1::directory_server::Directory;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use crate::allowance::Allowance;
use crate::limits::SNAPSHOT_PAGE_BYTES;
use crate::problem::{Bound, Problem};
use crate::receipts;
use crate::service::{Desk, peer};

/// The service.
#[derive(Clone)]
pub struct DirectoryService(pub Desk);

#[tonic::async_trait]
impl Directory for DirectoryService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn snapshot(&self, request: Request<v1::SnapshotRequest>) -> Result<Response<v1::SnapshotResponse>, Status> {
        let held = Allowance::of(request.extensions())?.page()?;
        let mut response = Response::new(self.page(request.into_inner().from_size)?);
        response.extensions_mut().insert(held);
        Ok(response)
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let from = request.into_inner().from_size;
        let sizes = WatchStream::new(self.0.shared.directory()).filter(move |size| *size > from).map(Some);
        let down = WatchStream::new(self.0.shared.going_down()).filter(|down| *down).map(|_| None);
        let news = sizes.merge(down).map_while(|size| size.map(|size| Ok(v1::WatchResponse { size })));
        Ok(Response::new(Box::pin(news)))
    }

    async fn grants(&self, request: Request<v1::GrantsRequest>) -> Result<Response<v1::GrantsResponse>, Status> {
        let peer = peer(request.extensions())?;
        let asked = Address::parse(&request.into_inner().subject);
        let subject = asked.map_err(|error| Problem::Refused(Refusal::BadEncoding(format!("field subject: {error}"))))?;
        // Whose they are not is told the same as of somebody who has none.
        let may_see = subject == peer.address || subject.own_ncb().as_ref() == Some(&peer.address);
        let row = self.0.shared.exchange().state().grants(&subject).map(|row| row.index).filter(|_| may_see);
        let receipt = row.map(|index| self.whole(index)).transpose()?.unwrap_or_default();
        Ok(Response::new(v1::GrantsResponse { receipt }))
    }

    async fn groups(&self, request: Request<v1::GroupsRequest>) -> Result<Response<v1::GroupsResponse>, Status> {
        let peer = peer(request.extensions())?;
        let after = request.into_inner().after;
        let is_own = |one: &String| *one == peer.address.as_str();
        let own = |row: &v1::GroupRow| is_own(&row.owner) || row.members.iter().any(is_own);
        let mut groups: Vec<(Address, u64)> = {
            let exchange = self.0.shared.exchange();
            let behind = exchange.state().groups().filter(|(group, row)| group.as_str() > after.as_str() && own(row));
            behind.map(|(group, row)| (group.clone(), row.index)).collect()
        };
        groups.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        let more = groups.len() > GROUPS_A_PAGE;
        groups.truncate(GROUPS_A_PAGE);
        let receipts = groups.into_iter().map(|(_, index)| self.whole(index)).collect::<Result<_, _>>()?;
        Ok(Response::new(v1::GroupsResponse { receipts, more }))
    }

    async fn permissions(&self, request: Request<v1::PermissionsRequest>) -> Result<Response<v1::PermissionsResponse>, Status> {
        let peer = peer(request.extensions())?;
        let from = request.into_inner().from_index;
        let mut indexes: Vec<u64> = {
            let exchange = self.0.shared.exchange();
            let now_ms = exchange.state().clock().map_or(0, |clock| clock.last_ms);
            let lasts = |row: &&v1::PermissionRow| row.index >= from && (row.expires_ms == 0 || row.expires_ms > now_ms);
            exchange.state().permissions_of(&peer.address).filter(lasts).map(|row| row.index).collect()
        };
        indexes.sort_unstable();
        let more = indexes.len() > PERMISSIONS_A_PAGE;
        indexes.truncate(PERMISSIONS_A_PAGE);
        let receipts = indexes.into_iter().map(|index| self.whole(index)).collect::<Result<_, _>>()?;
        Ok(Response::new(v1::PermissionsResponse { receipts, more }))
    }

    async fn publish_statement(
        &self,
        request: Request<v1::PublishStatementRequest>,
    ) -> Result<Response<v1::PublishStatementResponse>, Status> {
        let peer = peer(request.extensions())?;
        let signed = request.into_inner().statement.unwrap_or_default();
        let answered = self.0.publish(&peer, signed).await?;
        let receipt = receipts::for_author(&*self.0.shared.ledger(), &answered);
        self.0.shared.metrics.answered(&receipt);
        Ok(Response::new(v1::PublishStatementResponse { receipt: receipt? }))
    }
}

impl DirectoryService {
    /// The receipt of an entry, all of it shown.
    fn whole(&self, index: u64) -> Result<Bytes, Problem> {
        let ledger = self.0.shared.ledger();
        let stored = ledger.read(index)?;
        receipts::of_stored(&*ledger, &stored, |_| true)
    }

    fn page(&self, from: u64) -> Result<v1::SnapshotResponse, Problem> {
        let ledger = self.0.shared.ledger();
        let directory = ledger.directory()?;
        let missing = || Problem::busy_at(Bound::Store, "the directory's head is being written");
        let head = self.0.shared.exchange().state().head(directory.size).cloned().ok_or_else(missing)?;
        let stored = ledger.read(head.index)?;
        let statements = if from < directory.size { ledger.directory_leaves(from, SNAPSHOT_PAGE_BYTES)? } else { Vec::new() };
        Ok(v1::SnapshotResponse {
            // A batch may have been committed in between; the page ends where its head does.
            statements: statements.into_iter().take(usize::try_from(directory.size - from.min(directory.size)).unwrap_or(0)).collect(),
            size: directory.size,
            checkpoint: directory.checkpoint,
            head: receipts::of_stored(&*ledger, &stored, |_| true)?,
        })
    }
}

/// Receipts in one answer of Permissions; each is about a KiB, those with many recipients a few.
const PERMISSIONS_A_PAGE: usize = 64;
/// Receipts in one answer of Groups; each has a statement of at most 64 KiB.
const GROUPS_A_PAGE: usize = 16;
