//! The table as one would write it if time and memory did not matter: everything is looked for everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::calls::{Answer, Call, LIMITS, NAMES};
use crate::coordinator::table::{
    Acquire, Acquired, Bound, Busy, Client, Contender, Contenders, Counts, Draw, Ended, ForceTarget, Granted, Happened,
    LeaseId, Listed, Measure, NotGranted, NotLive, NotRenewed, OverQuota, Release, Released, State, Ticket, draw::lot,
    entries::Usage, footprint,
};

struct Held {
    id: LeaseId,
    request: Acquire,
    token: u64,
    ttl: Duration,
    deadline: Duration,
    waited: Duration,
    contenders: Option<Contenders>,
    told_again: bool,
    client: Option<Client>,
}

struct Kept {
    resource: Arc<str>,
    until: Duration,
    owner: Option<Arc<str>>,
    token: u64,
    client: Option<Client>,
    /// How many resources the lease had.
    of: usize,
}

struct Queued {
    ticket: Ticket,
    id: LeaseId,
    request: Acquire,
    since: Duration,
    gives_up_at: Duration,
    client: Option<Client>,
}

/// The model of the table.
#[derive(Default)]
pub struct Model {
    now: Duration,
    leases: Vec<Held>,
    kept: Vec<Kept>,
    /// In order of their tickets.
    queue: Vec<Queued>,
    /// The contested resources, and when each window closes. Those for which nobody waits any more do not count.
    contested: Vec<(Arc<str>, Duration)>,
    ended: Vec<(LeaseId, NotLive)>,
    pub happened: Vec<Happened>,
    pub last_token: u64,
    token_limit: u64,
    pub last_ticket: u64,
}

impl Held {
    fn granted(&self, again: bool) -> Granted {
        let Self { id: lease, token, ttl, deadline, waited, .. } = *self;
        let Acquire { resources, owner, .. } = self.request.clone();
        Granted { lease, resources, owner, token, ttl, deadline, waited, again, contenders: self.contenders.clone() }
    }
}

fn bytes_of_lease(request: &Acquire) -> usize {
    footprint::lease(request.owner.as_ref(), request.request_id.as_ref(), &request.resources)
}

fn same(one: &Acquire, other: &Acquire) -> bool {
    let identity = |request: &Acquire| (request.owner.clone(), request.request_id.clone(), request.resources.clone());
    one.owner.is_some() && one.request_id.is_some() && identity(one) == identity(other)
}

impl Model {
    pub fn call(&mut self, now: Duration, call: &Call) -> Answer {
        self.now = now;
        self.expire();
        let answer = match call {
            Call::Acquire(request, client, id) => Answer::Acquired(self.acquire(request, client.as_ref(), *id)),
            Call::Release(release) => Answer::Released(self.release(release)),
            Call::Renew(id, ttl) => Answer::Renewed(match self.leases.iter_mut().find(|lease| lease.id == *id) {
                Some(lease) => {
                    lease.ttl = ttl.unwrap_or(lease.ttl);
                    lease.deadline = now + lease.ttl;
                    Ok(lease.granted(true))
                }
                None => Err(NotRenewed::NotLive(self.how_ended(*id))),
            }),
            Call::Leave(ticket) => {
                let before = self.queue.len();
                self.queue.retain(|queued| queued.ticket != *ticket);
                Answer::Left(self.queue.len() < before)
            }
            Call::TakeBack(id) => {
                let unheard = self.leases.iter().any(|lease| lease.id == *id && !lease.told_again);
                Answer::TakenBack(unheard.then(|| self.end(*id, NotLive::AlreadyReleased, Duration::ZERO)).flatten())
            }
            Call::Force(name) => Answer::Forced(self.force(name)),
            Call::AllowTokens(limit) => {
                self.token_limit = self.token_limit.max(*limit);
                Answer::Nothing
            }
            Call::Dismiss => {
                let refused =
                    |queued: Queued| Happened::Refused { ticket: queued.ticket, refused: NotGranted::Dismissed };
                self.happened.extend(self.queue.drain(..).map(refused));
                Answer::Nothing
            }
            Call::Expire => Answer::Nothing,
        };
        self.serve();
        answer
    }

    /// When the next thing ends, and of which kind it is: at one instant leases come first, then retentions, then windows.
    pub fn next_ending(&self) -> Option<(Duration, u8)> {
        let leases = self.leases.iter().map(|lease| (lease.deadline, 0));
        let kept = self.kept.iter().map(|kept| (kept.until, 1));
        let windows = self.open().map(|(_, at)| (*at, 2));
        leases.chain(kept).chain(windows).chain(self.queue.iter().map(|queued| (queued.gives_up_at, 3))).min()
    }

    /// The windows that are open.
    fn open(&self) -> impl Iterator<Item = &(Arc<str>, Duration)> {
        self.contested.iter().filter(|(name, _)| !self.queue_of(name).is_empty())
    }

    /// How many windows are open.
    pub fn windows(&self) -> usize {
        self.open().count()
    }

    fn is_open(&self, name: &str) -> bool {
        self.open().any(|(open, _)| &**open == name)
    }

    fn expire(&mut self) {
        while let Some((at, kind)) = self.next_ending().filter(|(at, _)| *at <= self.now) {
            self.leases.sort_by_key(|lease| lease.id);
            self.kept.sort_by(|one, other| one.resource.cmp(&other.resource));
            if kind == 0 {
                let id = self.leases.iter().find(|lease| lease.deadline == at).unwrap().id;
                let ended = self.end(id, NotLive::Expired, Duration::ZERO).unwrap();
                self.happened.push(Happened::Expired(ended));
            } else if kind == 1 {
                self.kept.remove(self.kept.iter().position(|kept| kept.until == at).unwrap());
            } else if kind == 2 {
                let closing =
                    self.open().filter(|(_, until)| *until == at).map(|(name, _)| name.clone()).min().unwrap();
                self.contested.retain(|(name, _)| *name != closing);
            } else {
                let in_vain = self.queue.iter().position(|queued| queued.gives_up_at == at).unwrap();
                let Queued { ticket, request, since, .. } = &self.queue[in_vain];
                let refused = match self.obstacle(request, *ticket) {
                    Some(busy) => NotGranted::Busy(Busy { waited: self.now.saturating_sub(*since), ..busy }),
                    None => self.token(request.min_token).expect_err("or it would have been served"),
                };
                self.happened.push(Happened::Refused { ticket: *ticket, refused });
                self.queue.remove(in_vain);
            }
            self.serve();
        }
    }

    /// Grants the first waiter that can be granted, refuses who has lost by that, and looks at all again.
    fn serve(&mut self) {
        let can_be = |model: &Self, q: &Queued| {
            model.obstacle(&q.request, q.ticket).is_none() && model.token(q.request.min_token).is_ok()
        };
        while let Some(first) = self.queue.iter().position(|queued| can_be(self, queued)) {
            let (winner, contenders) = self.decide(first);
            let Queued { ticket, id, request, since, client, .. } = self.queue.remove(winner);
            let granted = self.grant(&request, client.as_ref(), id, (self.now.saturating_sub(since), contenders));
            self.happened.push(Happened::Granted { ticket, granted });
            self.refuse_losers(&request.resources);
        }
    }

    /// Who wins where this waiter has the smallest stamp, and all who are in the contest of the winner, if there is one.
    fn decide(&self, first: usize) -> (usize, Option<Contenders>) {
        let leader = &self.queue[first];
        let Some(contest) = leader.request.contest.as_ref().filter(|_| leader.ticket.is_contested()) else {
            return (first, None);
        };
        let shares = |one: &Queued, other: &Queued| {
            one.ticket.is_contested() && one.request.resources.iter().any(|name| other.request.resources.contains(name))
        };
        let all = || 0..self.queue.len();
        let is_near = |nth: usize| {
            let queued = &self.queue[nth];
            shares(queued, leader) && queued.ticket.stamp_us <= leader.ticket.stamp_us + contest.tie.within_us
        };
        let group = |nth: usize| self.queue[nth].request.contest.as_ref().and_then(|one| one.tie.group.clone());
        let is_tied = |nth: usize| {
            let queued = &self.queue[nth];
            let is_repeated =
                group(nth).is_some() && (0..nth).any(|other| is_near(other) && group(other) == group(nth));
            let in_the_way = |other: usize| {
                let other_one = &self.queue[other];
                !is_near(other)
                    && other_one.request.resources.iter().any(|name| queued.request.resources.contains(name))
            };
            // A place before all others has no obstacle but what holds a resource.
            let before_all = Ticket { stamp_us: i64::MIN, number: 0 };
            is_near(nth)
                && !is_repeated
                && self.obstacle(&queued.request, before_all).is_none()
                && !(0..nth).any(in_the_way)
                && self.token(queued.request.min_token).is_ok()
        };
        let tied: Vec<usize> = all().filter(|nth| *nth == first || is_tied(*nth)).collect();
        let resource = leader.request.resources[0].clone();
        let seed = contest.tie.seed.clone().filter(|_| tied.len() > 1);
        let draw = seed.map(|seed| Draw { resource, seed });
        let entry = |nth: usize| self.queue[nth].request.contest.as_ref().and_then(|one| one.entry.clone());
        let winner = draw.as_ref().map_or(first, |draw| {
            tied.iter().copied().min_by_key(|nth| (lot(draw, entry(*nth).as_deref()), *nth)).unwrap()
        });
        let rivals = all().filter(|nth| *nth != winner && shares(&self.queue[*nth], &self.queue[winner]));
        let contender = |nth: usize| Contender {
            stamp_us: self.queue[nth].ticket.stamp_us,
            entry: entry(nth),
            is_drawn: draw.is_some() && tied.contains(&nth),
        };
        let entries = std::iter::once(winner).chain(rivals).map(contender).collect();
        (winner, Some(Contenders { entries, draw: draw.clone() }))
    }

    /// Who is in a contest for one of these resources, which somebody has got now, is refused.
    fn refuse_losers(&mut self, resources: &[Arc<str>]) {
        let is_loser = |queued: &Queued| {
            queued.ticket.is_contested() && queued.request.resources.iter().any(|name| resources.contains(name))
        };
        while let Some(loser) = self.queue.iter().position(is_loser) {
            let Queued { ticket, request, since, .. } = &self.queue[loser];
            let busy = self.obstacle(request, *ticket).expect("somebody has it");
            let refused = NotGranted::Busy(Busy { waited: self.now.saturating_sub(*since), ..busy });
            self.happened.push(Happened::Refused { ticket: *ticket, refused });
            self.queue.remove(loser);
        }
    }

    /// The length of the window that a request may open, if it enters a contest.
    fn contest(&self, request: &Acquire) -> Option<Duration> {
        let contest = request.contest.as_ref().filter(|_| !request.wait.is_zero())?;
        let names = || request.resources.iter();
        let is_free = |name: &Arc<str>| self.state(name).is_none() && self.queue_of(name).is_empty();
        let enters = names().all(|name| is_free(name) || self.is_open(name));
        let has_window = !contest.window.is_zero() || names().any(|name| self.is_open(name));
        (enters && has_window).then_some(contest.window)
    }

    fn acquire(&mut self, request: &Acquire, client: Option<&Client>, id: LeaseId) -> Result<Acquired, NotGranted> {
        self.contested = self.open().cloned().collect();
        if let Some(lease) = self.leases.iter_mut().find(|lease| same(&lease.request, request)) {
            lease.told_again = true;
            return Ok(Acquired::Granted(lease.granted(true)));
        }
        let gives_up_at = self.now + request.wait;
        if let Some(queued) = self.queue.iter_mut().find(|queued| same(&queued.request, request)) {
            queued.gives_up_at = queued.gives_up_at.max(gives_up_at);
            return Ok(Acquired::Queued { ticket: queued.ticket, again: true });
        }
        let last = Ticket { stamp_us: Ticket::NO_STAMP, number: self.last_ticket + 1 };
        let (busy, window) = (self.obstacle(request, last), self.contest(request));
        let never_waits = request.wait.is_zero() || request.contest.is_some();
        if let Some(busy) = busy.clone().filter(|_| never_waits && window.is_none()) {
            return Err(NotGranted::Busy(busy));
        }
        let waits = busy.is_some() || window.is_some();
        self.check_bounds(request, client, waits)?;
        self.token(request.min_token)?;
        if !waits {
            return Ok(Acquired::Granted(self.grant(request, client, id, (Duration::ZERO, None))));
        }
        self.check_queues(request)?;
        self.last_ticket += 1;
        let stamp_us = request.contest.as_ref().map_or(Ticket::NO_STAMP, |contest| contest.stamp_us);
        let ticket = Ticket { stamp_us, ..last };
        if let Some(window) = window {
            self.contested = self.open().cloned().collect();
            let closed: Vec<_> = request.resources.iter().filter(|name| !self.is_open(name)).cloned().collect();
            self.contested.extend(closed.into_iter().map(|name| (name, self.now + window)));
        }
        let (request, client, since) = (request.clone(), client.cloned(), self.now);
        self.queue.push(Queued { ticket, id, request, since, gives_up_at, client });
        self.queue.sort_by_key(|queued| queued.ticket);
        Ok(Acquired::Queued { ticket, again: false })
    }

    fn check_bounds(&self, request: &Acquire, client: Option<&Client>, waits: bool) -> Result<(), NotGranted> {
        let (counts, wanted) = (self.counts(), request.resources.len());
        if let Some(client) = client {
            let Usage { resources, places } = self.usage_of(client);
            let client = client.clone();
            let quota = |places, used, most| NotGranted::Quota(OverQuota { client, places, used, wanted, most });
            if waits && places + wanted > LIMITS.client_places {
                return Err(quota(true, places, LIMITS.client_places));
            }
            if resources + places + wanted > LIMITS.client_resources {
                return Err(quota(false, resources + places, LIMITS.client_resources));
            }
        }
        if counts.held + counts.retained + self.places() + wanted > LIMITS.resources {
            return Err(NotGranted::Full(Bound { measure: Measure::Count, most: LIMITS.resources }));
        }
        let entries: usize = request.resources.iter().map(|name| footprint::entry(name)).sum();
        let itself = if waits { footprint::waiter(request) } else { bytes_of_lease(request) };
        if counts.bytes + itself + entries + client.map_or(0, footprint::client) > LIMITS.bytes {
            return Err(NotGranted::Full(Bound { measure: Measure::Bytes, most: LIMITS.bytes }));
        }
        Ok(())
    }

    fn check_queues(&self, request: &Acquire) -> Result<(), NotGranted> {
        let full = |measure, most| Err(NotGranted::QueueFull(Bound { measure, most }));
        if self.places() + request.resources.len() > LIMITS.places {
            return full(Measure::Count, LIMITS.places);
        }
        if request.resources.iter().any(|name| self.queue_of(name).len() >= LIMITS.waiters_of_one) {
            return full(Measure::Count, LIMITS.waiters_of_one);
        }
        if self.counts().queue_bytes + footprint::waiter(request) > LIMITS.queue_bytes {
            return full(Measure::Bytes, LIMITS.queue_bytes);
        }
        Ok(())
    }

    fn places(&self) -> usize {
        NAMES.iter().map(|name| self.queue_of(name).len()).sum()
    }

    /// What one client has, counted one by one.
    fn usage_of(&self, client: &Client) -> Usage {
        let is = |other: &Option<Client>| other.as_ref() == Some(client);
        let held = self.leases.iter().filter(|lease| is(&lease.client)).map(|lease| lease.request.resources.len());
        let kept = self.kept.iter().filter(|kept| is(&kept.client)).count();
        let queued = self.queue.iter().filter(|queued| is(&queued.client));
        Usage {
            resources: held.sum::<usize>() + kept,
            places: queued.map(|queued| queued.request.resources.len()).sum(),
        }
    }

    /// What each client has that has anything.
    pub fn usage(&self) -> BTreeMap<Client, Usage> {
        let of_leases = self.leases.iter().map(|lease| &lease.client);
        let of_kept = self.kept.iter().map(|kept| &kept.client);
        let clients = of_leases.chain(of_kept).chain(self.queue.iter().map(|queued| &queued.client)).flatten();
        clients.map(|client| (client.clone(), self.usage_of(client))).collect()
    }

    fn grant(
        &mut self,
        request: &Acquire,
        client: Option<&Client>,
        id: LeaseId,
        (waited, contenders): (Duration, Option<Contenders>),
    ) -> Granted {
        self.last_token = self.token(request.min_token).unwrap();
        self.kept.retain(|kept| !request.resources.contains(&kept.resource));
        let (request, token, ttl) = (request.clone(), self.last_token, request.ttl);
        let deadline = self.now + ttl;
        let client = client.cloned();
        let lease = Held { id, request, token, ttl, deadline, waited, contenders, told_again: false, client };
        let granted = lease.granted(false);
        self.leases.push(lease);
        granted
    }

    fn release(&mut self, release: &Release) -> Released {
        let (id, retention) = match release {
            Release::ById { lease, retention } => (*lease, *retention),
            Release::ByName { resource, retention } => match (self.holder(resource), self.state(resource)) {
                (Some(lease), _) if lease.request.owner.is_some() => {
                    return Released::NotOwner { resource: resource.clone() };
                }
                (Some(lease), _) => (lease.id, *retention),
                (None, Some(_)) => return Released::Nothing(NotLive::AlreadyReleased),
                (None, None) => return Released::Nothing(NotLive::Unknown),
            },
        };
        let ended = self.end(id, NotLive::AlreadyReleased, retention);
        ended.map_or_else(|| Released::Nothing(self.how_ended(id)), Released::Freed)
    }

    fn force(&mut self, name: &str) -> Option<ForceTarget> {
        if let Some(id) = self.holder(name).map(|lease| lease.id) {
            let ended = self.end(id, NotLive::Forced, Duration::ZERO)?;
            return Some(ForceTarget { ended, retained: false });
        }
        let Kept { resource, owner, token, .. } =
            self.kept.remove(self.kept.iter().position(|kept| &*kept.resource == name)?);
        Some(ForceTarget { ended: Ended { resources: [resource].into(), owner, token }, retained: true })
    }

    fn end(&mut self, id: LeaseId, how: NotLive, retention: Duration) -> Option<Ended> {
        let Held { request, token, client, .. } =
            self.leases.remove(self.leases.iter().position(|lease| lease.id == id)?);
        self.ended.push((id, how));
        let Acquire { resources, owner, .. } = request;
        let until = self.now + retention;
        let (of, client) = (resources.len(), &client);
        let keep = |name: &Arc<str>| {
            let (resource, owner, client) = (name.clone(), owner.clone(), client.clone());
            Kept { resource, until, owner, token, client, of }
        };
        self.kept.extend(resources.iter().filter(|_| !retention.is_zero()).map(keep));
        Some(Ended { resources, owner, token })
    }

    pub fn left_of(&self, id: LeaseId) -> Result<Duration, NotLive> {
        let live = self.leases.iter().find(|lease| lease.id == id);
        live.map(|lease| lease.deadline.saturating_sub(self.now)).ok_or_else(|| self.how_ended(id))
    }

    pub fn longest_left(&self) -> Duration {
        let left = self.leases.iter().map(|lease| lease.deadline.saturating_sub(self.now));
        left.max().unwrap_or_default()
    }

    fn how_ended(&self, id: LeaseId) -> NotLive {
        self.ended.iter().find(|(ended, _)| *ended == id).map_or(NotLive::Unknown, |(_, how)| *how)
    }

    fn token(&self, min_token: u64) -> Result<u64, NotGranted> {
        let token = self.last_token.max(min_token) + 1;
        Some(token).filter(|token| *token <= self.token_limit).ok_or(NotGranted::TokenLimit(token))
    }

    fn holder(&self, name: &str) -> Option<&Held> {
        self.leases.iter().find(|lease| lease.request.resources.iter().any(|resource| &**resource == name))
    }

    fn queue_of(&self, name: &str) -> Vec<Ticket> {
        let waits = |queued: &&Queued| queued.request.resources.iter().any(|resource| &**resource == name);
        self.queue.iter().filter(waits).map(|queued| queued.ticket).collect()
    }

    fn state(&self, name: &str) -> Option<State> {
        if let Some(Held { request, token, deadline, .. }) = self.holder(name) {
            let free_in = deadline.saturating_sub(self.now);
            return Some(State::Held { owner: request.owner.clone(), token: *token, free_in });
        }
        let Kept { until, owner, token, .. } = self.kept.iter().find(|kept| &*kept.resource == name)?;
        Some(State::Retained { owner: owner.clone(), token: *token, free_in: until.saturating_sub(self.now) })
    }

    /// The obstacle of a request at its place in the order of the queue.
    fn obstacle(&self, request: &Acquire, place: Ticket) -> Option<Busy> {
        request.resources.iter().find_map(|resource| {
            let passed_over = |state: &State| request.despite_retention && matches!(state, State::Retained { .. });
            let state = self.state(resource).filter(|state| !passed_over(state));
            let queue = self.queue_of(resource);
            (state.is_some() || self.is_open(resource) || queue.iter().any(|ticket| *ticket < place)).then(|| Busy {
                resource: resource.clone(),
                state: state.unwrap_or(State::Promised),
                queue: queue.iter().filter(|ticket| **ticket != place).count(),
                waited: Duration::ZERO,
            })
        })
    }

    pub fn list(&self) -> Vec<Listed> {
        let all = NAMES.iter().map(|name| (name, self.state(name), self.queue_of(name).len()));
        let known = all.filter(|(_, state, queue)| state.is_some() || *queue > 0);
        let listed = |(name, state, queue): (&&str, Option<State>, usize)| Listed {
            resource: Arc::from(*name),
            state: state.unwrap_or(State::Promised),
            queue,
        };
        known.map(listed).collect()
    }

    pub fn counts(&self) -> Counts {
        let held = self.leases.iter().map(|lease| lease.request.resources.len()).sum();
        let queue_bytes = self.queue.iter().map(|queued| footprint::waiter(&queued.request)).sum();
        let shares = self.kept.iter().map(|kept| footprint::share_of_owner(kept.owner.as_ref(), kept.of));
        let leases = self
            .leases
            .iter()
            .map(|lease| bytes_of_lease(&lease.request) + lease.contenders.as_ref().map_or(0, footprint::contested));
        let entries = self.list().into_iter().map(|listed| footprint::entry(&listed.resource));
        let clients = self.usage();
        let records = clients.keys().map(footprint::client);
        Counts {
            leases: self.leases.len(),
            held,
            retained: self.kept.len(),
            waiting: self.queue.len(),
            clients: clients.len(),
            bytes: leases.chain(shares).chain(entries).chain(records).sum::<usize>() + queue_bytes,
            queue_bytes,
        }
    }
}
