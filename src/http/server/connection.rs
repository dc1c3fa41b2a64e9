//! One connection: from its first byte through its requests to its end.
//!
//! hyper's buffers exist only while there is something for them. Before the first byte, and again once a connection has been idle
//! for two seconds, only the socket is waited for: thousands of idle connections take little memory.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Instant;

use http_body_util::Either;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::COOKIE;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use slog::{debug, o, warn};
use tokio::net::TcpStream;

use super::begin::{Begun, begin};
use super::farewell;
use super::finish;
use super::handler::{Handler, log_problem};
use super::request::Request;
use super::seldom::Seldom;
use super::site::Site;
use crate::access::ip_of;
use crate::access::principal::Who;
use crate::http::body::{Arriving, STOP_PATIENCE};
use crate::http::bounds::line::{Order, Phase, Rank};
use crate::http::bounds::turned::Reason;
use crate::http::bounds::{Turn, Visit};
use crate::http::causes::in_words;
use crate::http::kind;
use crate::http::pass::Pass;
use crate::http::presence::Hosting;
use crate::http::problem::Problem;
use crate::http::rates::Meter;
use crate::http::recall::Recall;
use crate::http::response::{Body, Response};
use crate::http::socket::{Activity, Answering, StampedIo};
use crate::http::stream::Socket;
use crate::http::{body, head};
use crate::panics::{Panicked, guarded};
use crate::time::Timestamp;

/// The read buffer of a connection, and so the longest head: hyper's own default is 400 KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// The context of one connection.
pub(super) struct Connection<H> {
    site: Arc<Site<H>>,
    /// The address of this machine that the client has connected to.
    here: IpAddr,
    peer: SocketAddr,
    /// The client's address, as text.
    ip: Arc<str>,
    activity: Arc<Activity>,
    visit: Arc<Visit>,
    /// When bytes were last read.
    last_read: Arc<AtomicI64>,
    recall: Arc<Recall>,
    /// Whether the client has begun without the TLS that the server has. Each request is refused then.
    lacks_tls: bool,
}

/// How a time with hyper ended.
enum Ended {
    Served(hyper::Result<()>),
    /// A stop did not wait for the end.
    Stopped,
    Ordered(Order, Option<Rank>),
}

impl<H: Handler> Connection<H> {
    pub fn new(site: Arc<Site<H>>, stream: &TcpStream, peer: SocketAddr) -> Self {
        // A socket without an address is no client's any more.
        let here = stream.local_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |here| here.ip());
        let visit = site.bounds.enter(peer);
        let last_read = Arc::new(AtomicI64::new(site.clock.now().as_micros()));
        let (ip, activity, recall) = (ip_of(peer).to_string().into(), Arc::default(), Arc::default());
        Self { site, here, peer, ip, activity, visit, last_read, recall, lacks_tls: false }
    }

    pub async fn run(mut self, stream: TcpStream) {
        if !self.bytes_come(|| async { drop(stream.peek(&mut [0]).await) }).await {
            return;
        }
        self.visit.begin(Phase::Head);
        let Some(Begun { stream, lacks_tls }) = self.begun(stream).await else { return };
        self.lacks_tls = lacks_tls;
        if self.site.tls.is_some() {
            // The handshake is no request.
            self.visit.begin(Phase::Waiting);
        }
        let this = Arc::new(self);
        let socket = stream.socket();
        let (clock, last_read) = (this.site.clock.clone(), Arc::clone(&this.last_read));
        let mut io = StampedIo::new(stream, clock, last_read, Arc::clone(&this.activity), Arc::clone(&this.visit));
        loop {
            this.visit.line.park(false);
            let Some(left) = Arc::clone(&this).served(io, socket.clone()).await else { return };
            io = left;
            this.visit.line.park(true);
            if !this.bytes_come(|| socket.readable()).await {
                return;
            }
        }
    }

    /// The connection after the handshake, if it needs one. `None` if it ended before that.
    async fn begun(&self, stream: TcpStream) -> Option<Begun> {
        let site = &self.site;
        let mut begun = pin!(begin(site.tls.as_ref(), stream, self.peer, &site.stop.begun, &site.log));
        loop {
            let order = tokio::select! {
                biased;
                begun = &mut begun => return begun,
                order = self.visit.line.ordered() => order,
            };
            if order == Order::MakeRoom && self.visit.line.look(site.bounds.now()).makes_room().is_some() {
                self.visit.turn_away(Reason::NoPlace);
                return None;
            }
        }
    }

    /// Waits for the next byte, which `readable` does by looking at it: that a socket is readable may be a false alarm. False if the
    /// connection is to be closed before that.
    async fn bytes_come<R: Future<Output = ()>>(&self, readable: impl Fn() -> R) -> bool {
        let (line, stop) = (&self.visit.line, &self.site.stop);
        loop {
            let order = tokio::select! {
                biased;
                () = readable() => return true,
                order = line.ordered() => order,
                () = stop.begun.cancelled() => {
                    // What is on its way may still arrive.
                    return tokio::time::timeout(STOP_PATIENCE, readable()).await.is_ok();
                }
            };
            let look = line.look(self.site.bounds.now());
            match order {
                Order::Close if look.due() == Some(order) => {
                    debug!(self.site.log, "Conexão ociosa encerrada");
                    return false;
                }
                Order::MakeRoom if look.makes_room().is_some() => {
                    self.visit.turn_away(Reason::Idle);
                    debug!(self.site.log, "Conexão ociosa encerrada para dar lugar a outra");
                    return false;
                }
                _ => {}
            }
        }
    }

    /// What [`Self::serve`] does, in a box: it takes memory only as long as hyper is there.
    fn served(
        self: Arc<Self>,
        io: StampedIo,
        socket: Socket,
    ) -> Pin<Box<dyn Future<Output = Option<StampedIo>> + Send>> {
        Box::pin(self.serve(io, socket))
    }

    /// Answers requests until the connection ends, or gives its stream back when it is idle.
    async fn serve(self: Arc<Self>, io: StampedIo, socket: Socket) -> Option<StampedIo> {
        let site = &self.site;
        let hosting = Hosting::new(socket, site.stop.begun.clone(), site.places.clone(), Arc::clone(&self.visit));
        let this = Arc::clone(&self);
        let service = service_fn(move |request| {
            let (mut head, body) = request.into_parts();
            let prefix = this.site.prefixes.take_from(&mut head, this.peer.ip());
            // In a box, so that an idle connection does not keep its memory. Nothing is around the answer's future that would copy it.
            Box::pin(prefix.around(Arc::clone(&this).answer(head, body, hosting.clone())))
        });
        let mut connection = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            // A client may close its sending side after its request and still wait for the answer.
            .half_close(true)
            .serve_connection(io, service);
        match self.drive(&mut connection).await {
            Ended::Served(Ok(())) => {}
            Ended::Served(Err(error)) => {
                warn!(self.site.log, "Conexão encerrada antes do fim da requisição: {}", in_words(&error));
            }
            Ended::Stopped => debug!(self.site.log, "Conexão encerrada pela parada"),
            Ended::Ordered(order, rank) => {
                let parts = connection.into_parts();
                let mut io = parts.io;
                if order == Order::Park {
                    io.rewind(parts.read_buf);
                    return Some(io);
                }
                self.let_go(order, rank, io).await;
            }
        }
        None
    }

    /// The next order, or `None` when the service stops.
    async fn told(&self) -> Option<Order> {
        tokio::select! {
            biased;
            order = self.visit.line.ordered() => Some(order),
            () = self.site.stop.begun.cancelled() => None,
        }
    }

    /// Drives a connection to its end, or to an order that it must follow.
    async fn drive<S>(&self, connection: &mut http1::Connection<StampedIo, S>) -> Ended
    where
        S: HttpService<Incoming, ResBody = Body>,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut connection = Pin::new(connection);
        let stop = &self.site.stop;
        loop {
            let mut told = pin!(self.told());
            let told = tokio::select! {
                biased;
                served = connection.as_mut() => return Ended::Served(served),
                told = Seldom::new(told.as_mut()) => told,
            };
            // A stop is no order.
            let Some(order) = told else { break };
            let look = self.visit.line.look(self.site.bounds.now());
            let applies = match order {
                Order::Park => look.may_park(),
                Order::Close | Order::RefuseHead => look.due() == Some(order),
                Order::MakeRoom => look.makes_room().is_some(),
            };
            if applies {
                return Ended::Ordered(order, look.makes_room().map(|(rank, _)| rank));
            }
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            served = connection.as_mut() => return Ended::Served(served),
            () = tokio::time::sleep(STOP_PATIENCE) => {}
        }
        let ended = std::future::poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(served) => Poll::Ready(Ended::Served(served)),
            Poll::Pending if self.activity.is_busy() => Poll::Pending,
            Poll::Pending => Poll::Ready(Ended::Stopped),
        });
        tokio::select! {
            ended = ended => ended,
            () = stop.over.cancelled() => Ended::Stopped,
        }
    }

    /// Ends a connection as it was ordered, with a word where an answer can still be sent. `rank` is what it was when it was taken from
    /// hyper.
    async fn let_go(&self, order: Order, rank: Option<Rank>, mut io: StampedIo) {
        let problem = match (order, rank) {
            (Order::RefuseHead, _) => {
                let detail = "O cabeçalho da requisição não chegou inteiro em 10 s.";
                Problem::new(kind::SLOW_HEAD, detail)
            }
            (Order::MakeRoom, Some(Rank::Head | Rank::Receiving)) => {
                let detail = "Todas as conexões do serviço estão em uso, e esta requisição demorava a chegar; tente de novo em instantes.";
                Problem::new(kind::NO_PLACE, detail).retry_after_s(1)
            }
            (Order::MakeRoom, Some(Rank::Stalled)) => {
                self.visit.turn_away(Reason::SlowReader);
                debug!(self.site.log, "Conexão de um cliente que não lia encerrada para dar lugar a outra");
                return io.reset();
            }
            (Order::MakeRoom, _) => {
                self.visit.turn_away(Reason::Idle);
                debug!(self.site.log, "Conexão ociosa encerrada para dar lugar a outra");
                return;
            }
            _ => {
                debug!(self.site.log, "Conexão ociosa encerrada");
                return;
            }
        };
        self.visit.note(problem.kind());
        self.site.handler.refused(problem.kind());
        let id = self.site.ids.next_alone();
        log_problem(&self.site.log.new(o!(id.clone())), &problem);
        farewell::say(&mut io, &farewell::word(&problem, &id, self.site.clock.now()), false).await;
    }

    async fn answer(self: Arc<Self>, head: Parts, body: Incoming, hosting: Hosting) -> Result<Response, Infallible> {
        let begun = Instant::now();
        let received = Timestamp::from_micros(self.last_read.load(Ordering::Relaxed)).unwrap_or(Timestamp::MIN);
        let answering = Answering::begin(&self.activity);
        let turn = Turn::begin(&self.visit);
        let id = self.site.ids.next(&head.headers);
        let log = self.site.log.new(o!(id.clone()));
        let body = Arriving::new(body, self.site.stop.begun.clone(), Arc::clone(&self.visit));
        let mut request = Request {
            head,
            body,
            peer: self.peer,
            ip: Arc::clone(&self.ip),
            proxies: self.site.prefixes.proxies.clone(),
            received,
            id: id.clone(),
            log: log.clone(),
            tls: self.site.tls.is_some(),
            who: Who::default(),
            pass: Pass::default(),
            recall: Arc::clone(&self.recall),
            unidentified: None,
            place: None,
            steps: OnceLock::new(),
            meter: Meter::new(self.site.rates.clone()),
            hosting,
        };
        let reads = request.head.method.is_safe();
        let answered = self.handle(&mut request).await;
        let answered = answered.and_then(|response| finish::counted(response, &self.visit, reads));
        let mut response = answered.unwrap_or_else(|problem| {
            self.visit.note(problem.kind());
            self.site.handler.refused(problem.kind());
            log_problem(&log, &problem);
            problem.into_response(&id)
        });
        // After a 408 the rest of the body is not drained: the client had its time.
        if response.status() != StatusCode::REQUEST_TIMEOUT {
            body::discard(&request.head.headers, &mut request.body).await;
        }
        finish::add_headers(response.headers_mut(), &request, self.site.clock.now(), begun);
        if let Some(origin) = self.site.guard.let_in(&request.head) {
            origin.admit(&request.head, response.status(), response.headers_mut());
        }
        self.site.handler.answered(&request, response.status(), begun.elapsed());
        if let Either::Right(stream) = response.body_mut() {
            self.activity.streaming.store(stream.is_events(), Ordering::Relaxed);
            stream.attend(log, answering, turn, Arc::clone(&self.visit));
        }
        Ok(response)
    }

    /// Answers an ambiguous head, or one without TLS, and closes the connection.
    fn refuse(&self, problem: Problem, request: &Request) -> Response {
        self.site.handler.refused(problem.kind());
        log_problem(&request.log, &problem);
        finish::last(problem.into_response(&request.id))
    }

    /// Lets the handler answer, in a box: what is around it is moved before it begins. A panic in it is answered with 500.
    async fn handle(&self, request: &mut Request) -> Result<Response, Problem> {
        if let Err(problem) = head::check(&request.head) {
            return Ok(self.refuse(problem, request));
        }
        if self.lacks_tls {
            let detail = "Esta porta só atende com TLS: use https:// em vez de http://.";
            return Ok(self.refuse(Problem::new(kind::PLAIN_HTTP, detail), request));
        }
        if let Err(refusal) = self.site.guard.check(&request.head, self.here) {
            let malformed = refusal.is_malformed();
            return if malformed { Ok(self.refuse(refusal.into(), request)) } else { Err(refusal.into()) };
        }
        if self.site.guard.let_in(&request.head).is_some() {
            request.head.headers.remove(COOKIE);
        }
        let handled = guarded(Box::pin(self.site.handler.handle(request))).await;
        handled.unwrap_or_else(|panicked: Panicked| Err(Problem::internal(panicked.to_string())))
    }
}
