//! lab
use std::time::{Duration, Instant};
use proto::logs::log_service_client::LogServiceClient;
use proto::logs::ship_request::Part;
use proto::logs::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn record(random: &mut fastrand::Rng, sequence: u64, now: i64) -> LogRecord {
    let request = sequence / 5;
    let mut r = fastrand::Rng::with_seed(request ^ 0x9999);
    let words = ["created","updated","refused","product","category","session","checkout","inventory","supplier","timeout","cache","lookup","shipment","invoice","customer"];
    let w = |random: &mut fastrand::Rng| words[random.usize(..words.len())];
    let level = match random.u32(..1000) { 0..20 => 1, 20..320 => 5, 320..920 => 9, 920..980 => 13, 980..999 => 17, _ => 21 };
    LogRecord { sequence, time: Some(prost_types::Timestamp { seconds: now / 1_000_000_000, nanos: (now % 1_000_000_000) as i32 }),
      level, target: ["productsvc::store","portal::pages::home","mesh::layers::metrics","registry::instances"][random.usize(..4)].into(),
      message: format!("{} {} {} in {} ms for {} {}", w(random), w(random), random.u32(..1_000_000), random.u32(..500), w(random), random.u32(..100_000)),
      fields: vec![Field{name:"product.id".into(), value: random.u32(..1_000_000).to_string(), kind: 1}, Field{name:"user".into(), value: format!("user-{}", random.u32(..5000)), kind:0}],
      request_id: format!("{:016x}", r.u64(..)), trace_id: format!("{:032x}", r.u128(..)), span_id: String::new(), cut: false, lost: vec![] }
}
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap(); let mode = args.next().unwrap(); let n: u64 = args.next().unwrap().parse().unwrap();
    let client = LogServiceClient::connect(format!("http://{address}")).await.unwrap();
    if mode == "ship" {
        let total = Arc::new(AtomicU64::new(0)); let t0 = Instant::now();
        let tasks: Vec<_> = (0..4u64).map(|p| { let mut client = client.clone(); let total = total.clone(); tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(p); let mut next = 1; let inc = jiff::Timestamp::now().as_microsecond() as u64; let mut acks = vec![];
            while total.load(Ordering::Relaxed) < n {
                let now = jiff::Timestamp::now().as_nanosecond() as i64;
                let header = ShipHeader { producer: format!("bench-{p}"), incarnation: inc, first_sequence: next, service: ["portal","productsvc","registry","other"][p as usize].into(), instance_id: format!("i{p}"), ..Default::default() };
                let mut parts = vec![Part::Header(header)];
                for _ in 0..5 { let records = (0..1000).map(|_| { let r = record(&mut random, next, now + next as i64 * 1000); next += 1; r }).collect(); parts.push(Part::Batch(RecordBatch{records})); }
                let t = Instant::now();
                let a = client.ship(tokio_stream::iter(parts.into_iter().map(|part| ShipRequest{part:Some(part)}))).await.unwrap().into_inner();
                acks.push(t.elapsed());
                total.fetch_add(a.stored, Ordering::Relaxed);
            } acks }) }).collect();
        let mut acks = vec![]; for t in tasks { acks.extend(t.await.unwrap()); } acks.sort();
        let secs = t0.elapsed().as_secs_f64();
        println!("{} records in {secs:.1}s = {:.0}/s; ack of 5000: p50 {:?} p99 {:?}", total.load(Ordering::Relaxed), total.load(Ordering::Relaxed) as f64 / secs, acks[acks.len()/2], acks[acks.len()*99/100]);
    } else {
        let rec = |seed, seq| { let mut r = fastrand::Rng::with_seed(seed); record(&mut r, seq, 0) };
        let sample = rec(1, 123_455);
        let f = |name: &str, filter: Filter| (name.to_owned(), filter);
        let queries = vec![
          f("last", Filter::default()),
          f("level>=ERROR", Filter{min_level: 17, ..Default::default()}),
          f("FATAL+service", Filter{min_level: 21, services: vec!["portal".into()], ..Default::default()}),
          f("instance", Filter{instance_ids: vec!["i2".into()], ..Default::default()}),
          f("word common", Filter{words: vec!["timeout".into()], ..Default::default()}),
          f("word rare", Filter{words: vec!["777777".into()], ..Default::default()}),
          f("word absent", Filter{words: vec!["nowhere".into()], ..Default::default()}),
          f("2 words", Filter{words: vec!["timeout".into(), "4242".into()], ..Default::default()}),
          f("trace", Filter{trace_id: sample.trace_id.clone(), ..Default::default()}),
          f("request", Filter{request_id: sample.request_id.clone(), ..Default::default()}),
          f("field", Filter{fields: vec![FieldMatch{name:"product.id".into(), value:"4242".into()}], ..Default::default()}),
          f("substring absent", Filter{substring: "no such text".into(), ..Default::default()}),
          f("substring absent2", Filter{substring: "zzzqqq".into(), ..Default::default()}),
          f("not word", Filter{without_words: vec!["timeout".into()], min_level: 13, ..Default::default()}),
        ];
        for (name, filter) in queries {
            let mut times = vec![]; let mut firsts = vec![]; let mut rows = 0; let mut last = String::new();
            for _ in 0..(if name.starts_with("substring") {2} else {n}) {
                let t = Instant::now(); let mut first = None; rows = 0;
                let mut s = client.clone().query(QueryRequest{filter: Some(filter.clone()), ..Default::default()}).await.unwrap().into_inner();
                while let Some(m) = s.message().await.unwrap() { match m.part { Some(query_response::Part::Rows(r)) => { rows += r.records.len(); first.get_or_insert(t.elapsed()); } Some(query_response::Part::Done(d)) => last = format!("{} read {} skipped {}", d.end, d.progress.unwrap().blocks_read, d.progress.unwrap().blocks_skipped), _ => {} } }
                times.push(t.elapsed()); firsts.extend(first);
            }
            times.sort(); firsts.sort();
            println!("{name:20} {rows:4} rows  p50 {:?} p95 {:?} first {:?}  {last}", times[times.len()/2], times[times.len()*95/100], firsts.get(firsts.len()/2));
        }
        let _ = Duration::ZERO;
    }
}
