//! A man in the middle: it has the node's certificate and the member's, passes every call on to the true gateway, and
//! changes what comes back as the test says. It cannot sign for the log.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use client::link::Link;
use gateway::Running;
use gateway::connection::Door;
use gateway::node::Node;
use proto::v1;
use proto::v1::audit_client::AuditClient;
use proto::v1::audit_server::{Audit, AuditServer};
use proto::v1::directory_client::DirectoryClient;
use proto::v1::directory_server::{Directory, DirectoryServer};
use proto::v1::messages_client::MessagesClient;
use proto::v1::messages_server::{Messages, MessagesServer};
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::{NODE, Theatre, address, now};

/// What it does to deliveries and to receipts of submissions.
pub(crate) type Twist<T> = Box<dyn Fn(&mut T) + Send>;

/// The man in the middle, serving.
pub(crate) struct Middle {
    pub(crate) address: SocketAddr,
    pub(crate) tricks: Arc<Tricks>,
    stop: watch::Sender<bool>,
    door: tokio::task::JoinHandle<()>,
}

/// The present tricks; none is an honest proxy.
#[derive(Default)]
pub(crate) struct Tricks {
    pub(crate) delivery: Mutex<Option<Twist<v1::Delivery>>>,
    pub(crate) receipt: Mutex<Option<Twist<bytes::Bytes>>>,
}

impl Middle {
    /// Stands between `member` and the gateway.
    pub(crate) async fn between(theatre: &Theatre, running: &Running, member: &str) -> Self {
        let config = theatre.config();
        let genesis = gateway::gateway::opener(&config).expect("a configuration").1;
        let node = Node::read(&theatre.identity(NODE), &config.keys, &genesis, now()).expect("the node's keys");
        let tls = gateway::tls::server_config(node, running.shared()).expect("a configuration");
        let (tricks, (stop, stopping)) = (Arc::new(Tricks::default()), watch::channel(false));
        let service = Service { link: theatre.link(member).await, tricks: tricks.clone() };
        let routes = Routes::new(MessagesServer::new(service.clone()));
        let routes = routes.add_service(DirectoryServer::new(service.clone())).add_service(AuditServer::new(service)).prepare();
        let door = Door::new(Arc::new(ArcSwap::from_pointee(tls)), running.shared().clone(), routes, stopping);
        let listener = tokio::net::TcpListener::bind((theatre.listen.ip(), 0)).await.expect("a free port");
        let local = listener.local_addr().expect("an address");
        assert_eq!(address(NODE).as_str(), genesis.statement.node);
        Self { address: local, tricks, stop, door: tokio::spawn(door.run(listener)) }
    }

    pub(crate) async fn leave(self) {
        self.stop.send(true).expect("it serves");
        self.door.await.expect("it ends well");
    }
}

#[derive(Clone)]
struct Service {
    link: Link,
    tricks: Arc<Tricks>,
}

type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    fn messages(&self) -> MessagesClient<Link> {
        MessagesClient::with_origin(self.link.clone(), self.link.origin())
    }

    fn directory(&self) -> DirectoryClient<Link> {
        DirectoryClient::with_origin(self.link.clone(), self.link.origin())
    }

    fn audit(&self) -> AuditClient<Link> {
        AuditClient::with_origin(self.link.clone(), self.link.origin())
    }
}

#[tonic::async_trait]
impl Messages for Service {
    type SubmitStreamStream = Out<v1::SubmitStreamResponse>;
    type ReceiveStream = Out<v1::ReceiveResponse>;

    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitResponse>, Status> {
        let mut answer = self.messages().submit(request.into_inner()).await?;
        if let Some(twist) = &*self.tricks.receipt.lock().expect("no panic") {
            twist(&mut answer.get_mut().receipt);
        }
        Ok(answer)
    }

    async fn submit_stream(&self, _: Request<Streaming<v1::SubmitStreamRequest>>) -> Result<Response<Self::SubmitStreamStream>, Status> {
        Err(Status::unimplemented("no member uses it"))
    }

    async fn receive(&self, request: Request<Streaming<v1::ReceiveRequest>>) -> Result<Response<Self::ReceiveStream>, Status> {
        let inbound = request.into_inner().filter_map(Result::ok);
        let (answers, tricks) = (self.messages().receive(inbound).await?.into_inner(), self.tricks.clone());
        let twisted = answers.map(move |answer| {
            let mut answer = answer?;
            if let (Some(delivery), Some(twist)) = (&mut answer.delivery, &*tricks.delivery.lock().expect("no panic")) {
                twist(delivery);
            }
            Ok(answer)
        });
        Ok(Response::new(Box::pin(twisted)))
    }

    async fn status(&self, request: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        self.messages().status(request.into_inner()).await
    }
}

#[tonic::async_trait]
impl Directory for Service {
    type WatchStream = Out<v1::WatchResponse>;

    async fn snapshot(&self, request: Request<v1::SnapshotRequest>) -> Result<Response<v1::SnapshotResponse>, Status> {
        self.directory().snapshot(request.into_inner()).await
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let sizes = self.directory().watch(request.into_inner()).await?.into_inner();
        Ok(Response::new(Box::pin(sizes)))
    }

    async fn grants(&self, request: Request<v1::GrantsRequest>) -> Result<Response<v1::GrantsResponse>, Status> {
        self.directory().grants(request.into_inner()).await
    }

    async fn groups(&self, request: Request<v1::GroupsRequest>) -> Result<Response<v1::GroupsResponse>, Status> {
        self.directory().groups(request.into_inner()).await
    }

    async fn permissions(&self, request: Request<v1::PermissionsRequest>) -> Result<Response<v1::PermissionsResponse>, Status> {
        self.directory().permissions(request.into_inner()).await
    }

    async fn publish_statement(
        &self,
        request: Request<v1::PublishStatementRequest>,
    ) -> Result<Response<v1::PublishStatementResponse>, Status> {
        self.directory().publish_statement(request.into_inner()).await
    }
}

#[tonic::async_trait]
impl Audit for Service {
    type ReplayStream = Out<v1::ReplayResponse>;

    async fn checkpoint(&self, request: Request<v1::CheckpointRequest>) -> Result<Response<v1::CheckpointResponse>, Status> {
        self.audit().checkpoint(request.into_inner()).await
    }

    async fn consistency(&self, request: Request<v1::ConsistencyRequest>) -> Result<Response<v1::ConsistencyResponse>, Status> {
        self.audit().consistency(request.into_inner()).await
    }

    async fn inclusion(&self, request: Request<v1::InclusionRequest>) -> Result<Response<v1::InclusionResponse>, Status> {
        self.audit().inclusion(request.into_inner()).await
    }

    async fn replay(&self, request: Request<v1::ReplayRequest>) -> Result<Response<Self::ReplayStream>, Status> {
        let entries = self.audit().replay(request.into_inner()).await?.into_inner();
        Ok(Response::new(Box::pin(entries)))
    }

    async fn tile(&self, request: Request<v1::TileRequest>) -> Result<Response<v1::TileResponse>, Status> {
        self.audit().tile(request.into_inner()).await
    }
}
