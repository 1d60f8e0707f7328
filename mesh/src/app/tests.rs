//! Starting and stopping: in order, in reverse, in time.

use std::sync::Mutex;

use clap::Parser as _;

use super::life::Start;
use super::*;

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    mesh: Config,
}

/// What was stopped, in order.
type Stopped = Arc<Mutex<Vec<&'static str>>>;

fn app() -> (App, Stopped) {
    let config = Options::parse_from(["test"]).mesh;
    let app = App::new(Identity::new("test", "1.0.0"), config, &Logging::none());
    (app, Stopped::default())
}

fn stops(app: &mut App, stopped: &Stopped, name: &'static str) {
    let stopped = stopped.clone();
    app.on_stop(name, async move {
        stopped.lock().unwrap().push(name);
        Ok(())
    });
}

async fn never() {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn steps_stop_in_reverse_also_when_one_fails_or_hangs() {
    let (mut app, stopped) = app();
    stops(&mut app, &stopped, "first");
    app.on_stop("hangs", async { std::future::pending().await });
    app.on_stop("fails", async { anyhow::bail!("on purpose") });
    stops(&mut app, &stopped, "last");

    app.stop(true).await;

    assert_eq!(*stopped.lock().unwrap(), ["last", "first"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_names_the_step_and_why() {
    let (mut app, stopped) = app();
    let seen = stopped.clone();

    let start = app
        .begin(
            (),
            async |app: &mut App, ()| {
                stops(app, &seen, "store");
                app.start("cellar", async { anyhow::bail!("it is flooded") }).await
            },
            never(),
        )
        .await;

    let Start::Failed(why) = start else { panic!("{start:?}") };
    assert_eq!(why, "the step \"cellar\" failed: it is flooded");
    app.stop(false).await;
    assert_eq!(*stopped.lock().unwrap(), ["store"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_is_undone_too() {
    let (mut app, stopped) = app();
    let seen = stopped.clone();

    let start = app
        .begin(
            (),
            async |app: &mut App, ()| {
                stops(app, &seen, "store");
                app.start("cellar", std::future::pending()).await
            },
            never(),
        )
        .await;

    let Start::Failed(why) = start else { panic!("{start:?}") };
    assert_eq!(why, "the step \"cellar\" did not end within 15s");
    app.stop(false).await;
    assert_eq!(*stopped.lock().unwrap(), ["store"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_prepared_takes_as_long_as_it_takes_and_the_rest_does_not() {
    let (mut app, _) = app();
    let after = async |seconds| {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(())
    };
    let minutes = async |app: &mut App| {
        app.start("door", after(8)).await?;
        app.prepare("cellar", after(600)).await
    };

    let start = app.begin((), async |app: &mut App, ()| minutes(app).await, never()).await;
    assert!(matches!(start, Start::Up), "{start:?}");

    let hangs = async |app: &mut App, ()| {
        minutes(app).await?;
        app.start("attic", after(8)).await
    };
    let start = app.begin((), hangs, never()).await;
    let Start::Failed(why) = start else { panic!("{start:?}") };
    assert_eq!(why, "the step \"attic\" did not end within 15s");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_comes_during_the_start_is_heard() {
    let (mut app, stopped) = app();
    let seen = stopped.clone();

    let start = app
        .begin(
            (),
            async |app: &mut App, ()| {
                stops(app, &seen, "store");
                app.start("cellar", std::future::pending()).await
            },
            tokio::time::sleep(Duration::from_secs(1)),
        )
        .await;

    assert!(matches!(start, Start::CalledOff), "{start:?}");
    app.stop(false).await;
    assert_eq!(*stopped.lock().unwrap(), ["store"]);
}

#[tokio::test]
async fn steps_are_named_in_the_graph() {
    let (mut app, stopped) = app();
    app.start("cellar", async { Ok(()) }).await.unwrap();
    stops(&mut app, &stopped, "cellar");

    let graph = app.about.graph.read(app.identity());

    assert_eq!(graph.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["cellar"]);
}
