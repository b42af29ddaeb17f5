use std::sync::Arc;

use agent_server_storage::{RunId, ThreadId, Timestamp, events::EventId};
use bytes::Bytes;
use uuid::Uuid;

use super::{
    From, Listener, Log, Logged, Save, Step, Streams,
    log::{Look, Missing},
    parse_id,
};
use crate::ports::{Clock, Event};

const RUN: RunId = RunId(Uuid::nil());
const THREAD: ThreadId = ThreadId(Uuid::nil());

fn event(name: &str) -> Event {
    Event { name: name.into(), data: Bytes::from_static(b"{}") }
}

fn names(events: &[Logged]) -> Vec<&str> {
    events.iter().map(|logged| logged.event.name.as_str()).collect()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(millis).expect("in range")
}

/// A clock that stands still.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        at(0)
    }
}

fn listener(log: &Arc<Log>, from: From) -> Listener {
    Listener::new(Arc::clone(log), from, None, Arc::new(Stopped))
}

async fn next(listener: &mut Listener) -> Vec<Logged> {
    let mut events = vec![];
    listener.next(&mut events).await.expect("nothing is read from storage");
    events
}

#[tokio::test]
async fn ids_increase_and_a_listener_starts_after_the_given_one() {
    let streams = Streams::new(1 << 20);
    let log = streams.open_new(RUN, THREAD, true);
    for (millis, name) in [(5, "a"), (5, "b"), (4, "c"), (6, "d")] {
        streams.push(RUN, at(millis), event(name));
    }
    let ids: Vec<_> = next(&mut listener(&log, From::Start)).await;
    let ids: Vec<_> = ids.iter().map(|logged| logged.id.to_string()).collect();
    assert_eq!(ids, ["5-0", "5-1", "5-2", "6-0"]);

    let after = parse_id("5-1").expect("an id");
    let mut behind = listener(&log, From::After(after));
    assert_eq!(names(&next(&mut behind).await), ["c", "d"]);
    let mut ahead = listener(&log, From::After(EventId::MAX));
    streams.push(RUN, at(7), event("e"));
    assert_eq!(names(&next(&mut ahead).await), ["e"], "an id of nobody hides nothing");
    streams.close(RUN);
    assert_eq!(names(&next(&mut behind).await), ["e"]);
    assert!(next(&mut behind).await.is_empty(), "a closed log ends its listeners");
}

#[test]
fn ids_go_on_after_those_of_an_earlier_process() {
    let streams = Streams::new(1 << 20);
    streams.go_on_after(EventId { millis: 9, seq: 4 });
    assert_eq!(streams.stamp(at(8), event("a"), false).id, EventId { millis: 9, seq: 5 });
    assert_eq!(streams.stamp(at(10), event("a"), false).id, EventId { millis: 10, seq: 0 });
}

#[tokio::test]
async fn a_listener_slower_than_the_ring_goes_on_with_what_is_kept() {
    let streams = Streams::new(4);
    let mut listener = listener(&streams.open_new(RUN, THREAD, false), From::Start);
    for name in ["a", "b", "c"] {
        streams.push(RUN, at(1), event(name));
    }
    assert_eq!(names(&next(&mut listener).await), ["b", "c"]);
}

#[tokio::test]
async fn a_listener_that_leaves_nothing_out_ends_when_it_is_slower_than_the_ring() {
    let streams = Streams::new(4);
    let log = streams.open_new(RUN, THREAD, false);
    for name in ["a", "b", "c"] {
        streams.push(RUN, at(1), event(name));
    }
    let mut listener = listener(&log, From::Start).unbroken();
    assert_eq!(names(&next(&mut listener).await), ["b", "c"], "it begins with what there is");
    for name in ["d", "e", "f"] {
        streams.push(RUN, at(1), event(name));
    }
    let error = listener.next(&mut vec![]).await.unwrap_err();
    assert!(error.to_string().contains("so slow"), "{error}");
}

#[tokio::test]
async fn a_listener_is_given_little_at_a_time() {
    let streams = Streams::new(64 << 20);
    let log = streams.open_new(RUN, THREAD, false);
    let large = || Event { name: "a".into(), data: Bytes::from(vec![b' '; 700 << 10]) };
    for _ in 0..5 {
        streams.push(RUN, at(1), large());
    }
    streams.close(RUN);
    let mut listener = listener(&log, From::Start);
    let mut given = vec![];
    for _ in 0..4 {
        given.push(next(&mut listener).await.len());
    }
    assert_eq!(given, [2, 2, 1, 0]);
}

#[test]
fn what_is_not_saved_stays_however_much_it_is() {
    let streams = Streams::new(4);
    let log = streams.open_new(RUN, THREAD, true);
    for name in ["a", "b", "c", "d"] {
        streams.push(RUN, at(1), event(name));
    }
    let unsaved = log.unsaved();
    assert_eq!(unsaved.len(), 4);
    let look = |position: EventId| {
        let (mut position, mut events) = (position, vec![]);
        (log.look(&mut position, &mut events, Missing::Stored), events.len())
    };
    assert_eq!(look(EventId::MIN), (Look::Given, 4));
    log.saved(3, false);
    assert_eq!(look(EventId::MIN), (Look::Behind(unsaved[1].id), 0));
    assert_eq!(look(unsaved[1].id), (Look::Given, 2));
    assert_eq!(log.unsaved(), unsaved[3..]);
}

#[test]
fn a_save_is_asked_for_once() {
    let streams = Streams::new(1 << 30);
    let log = streams.open_new(RUN, THREAD, true);
    assert_eq!(streams.push(RUN, at(1), event("a")), Save::Soon);
    assert_eq!(streams.push(RUN, at(1), event("b")), Save::No);
    let large = Event { name: "c".into(), data: Bytes::from(vec![b' '; 2 << 20]) };
    assert_eq!(streams.push(RUN, at(1), large.clone()), Save::Now);
    assert_eq!(streams.push(RUN, at(1), large), Save::No);
    log.saved(log.unsaved().len(), false);
    assert_eq!(streams.push(RUN, at(1), event("d")), Save::Soon);
    let streams = Streams::new(1 << 20);
    streams.open_new(RUN, THREAD, false);
    assert_eq!(streams.push(RUN, at(1), event("a")), Save::No, "only resumable runs are saved");
}

#[tokio::test]
async fn a_thread_shows_all_its_runs_and_their_ends() {
    let streams = Streams::new(1 << 20);
    let mut follower = listener(&streams.open_thread(THREAD), From::Now);
    let second = RunId(Uuid::from_u128(2));
    let elsewhere = RunId(Uuid::from_u128(3));
    let log = streams.open_new(RUN, THREAD, false);
    streams.open_new(second, THREAD, false);
    streams.open_new(elsewhere, ThreadId(Uuid::from_u128(9)), false);
    let mut of_run = listener(&log, From::Start);

    streams.push(RUN, at(1), event("a"));
    let late = streams.stamp(at(1), event("error"), false);
    streams.push(second, at(1), event("b"));
    streams.push(elsewhere, at(1), event("no"));
    streams.publish(&log, vec![late], at(1));
    streams.push_done(RUN, THREAD, at(1));
    streams.close(RUN);
    let seen = next(&mut follower).await;
    assert_eq!(names(&seen), ["a", "b", "error", "metadata"]);
    assert!(seen.is_sorted_by(|a, b| a.id < b.id), "{seen:?}");
    assert_eq!(names(&next(&mut of_run).await), ["a", "error"], "the end mark is the thread's");
    drop(follower);
    assert!(!streams.is_followed(THREAD));
}

#[test]
fn last_event_ids_are_read_as_clients_send_them() {
    for beginning in ["-", "-1", "0", "0-0", " - "] {
        assert_eq!(parse_id(beginning), Some(EventId::MIN), "{beginning}");
    }
    assert_eq!(parse_id("12-3"), Some(EventId { millis: 12, seq: 3 }));
    assert_eq!(parse_id("12"), Some(EventId { millis: 12, seq: 0 }));
    assert_eq!(parse_id("12-*"), Some(EventId { millis: 12, seq: u64::MAX }));
    let large = parse_id("99999999999999999999999").expect("an id");
    assert_eq!(large.millis, u64::MAX);
    for no_id in ["zzz", "", "12-", "-3", "1-2-3", "+1", "1.5"] {
        assert_eq!(parse_id(no_id), None, "{no_id}");
    }
}

#[tokio::test]
async fn who_follows_what_is_kept_gets_an_event_when_it_is_stored() {
    let streams = Streams::new(1 << 20);
    let log = streams.open_new(RUN, THREAD, true);
    streams.push(RUN, at(1), event("before"));
    let kept = streams.open_kept(THREAD);
    assert!(streams.is_kept_followed(THREAD));
    let mut listener = listener(&kept, From::Start);
    streams.push(RUN, at(2), event("a"));
    let mut given = vec![];
    assert_eq!(listener.look(&mut given).await.expect("is read"), Step::CaughtUp);
    // What was sent before somebody followed is read in storage, where it is by now.
    streams.saved(&log, 2, at(3));
    assert_eq!(names(&next(&mut listener).await), ["a"]);
    let last = vec![streams.stamp(at(4), event("done"), true)];
    streams.publish(&log, last, at(4));
    let last = next(&mut listener).await;
    assert_eq!(last[0].of_run, Some((RUN, last[0].id)));
    streams.close_thread(THREAD);
    assert_eq!(listener.look(&mut given).await.expect("is read"), Step::Over);
    assert!(!streams.is_kept_followed(THREAD), "the next thread with this id is another one");
}

#[tokio::test]
async fn runs_that_are_not_stored_are_not_kept() {
    let streams = Streams::new(1 << 20);
    let log = streams.open_new(RUN, THREAD, false);
    let mut listener = listener(&streams.open_kept(THREAD), From::Start);
    streams.push(RUN, at(1), event("a"));
    streams.publish(&log, vec![streams.stamp(at(2), event("b"), false)], at(2));
    let mut given = vec![];
    assert_eq!(listener.look(&mut given).await.expect("is read"), Step::CaughtUp);
    assert!(given.is_empty());
}
