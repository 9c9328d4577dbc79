//! `fluxkeep replay`: plays an incident's reviews against the real server and a snapshot.

mod review;
mod scenario;
pub(crate) mod stage;
mod tell;

pub use scenario::Scenario;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fluxkeep_webhook::stop::{hangup, interrupt, terminate};
use fluxkeep_webhook::{Bound, Limits, Settings};
use tokio::sync::oneshot;

use crate::client::{Client, Http};
use crate::{Found, Output};
use scenario::{Asked, Step, Story};
use stage::Stage;
use tell::{Heard, beside, paint, paragraph, question, quoted};

/// The flags of `fluxkeep replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Story to replay.
    #[arg(long, value_enum, default_value = "incident")]
    scenario: Scenario,
    /// Keeps the server running afterwards, for requests with curl.
    #[arg(long)]
    serve: bool,
}

/// Explains the output of a step.
const LEGEND: &str = "Each step is a review, sent to the real server over HTTPS as the apiserver would send it: what was \
                      asked, what happened without fluxkeep, what fluxkeep answered.";

/// A running server with its facts, and a client that trusts the server.
struct Theatre {
    stage: Arc<Stage>,
    client: Client,
    admission: String,
    observe: String,
    authority: String,
}

/// Plays a story. Returns [`Found::Nothing`] if every answer was as expected.
///
/// # Errors
/// If the server cannot start or be reached.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    tokio::runtime::Runtime::new()?.block_on(play(args, output))
}

async fn play(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let story = args.scenario.story()?;
    let stage = Stage::new(stage::facts(&story.stage)?);
    // No lingering: no client would be harmed by a cut connection.
    let limits = Limits {
        linger: Duration::ZERO,
        ..Limits::default()
    };
    let bound = Bound::bind(
        Settings {
            limits,
            ..Settings::loopback()
        },
        stage.clone(),
    )
    .await?;
    let theatre = theatre(&bound, stage)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(bound.serve(async move {
        let _ = stopped.await;
    }));
    let found = tell(&story, &theatre, output).await;
    if args.serve && found.is_ok() {
        serve(&story, &theatre, output).await?;
    }
    drop(stop);
    server.await.context("stopping the server")??;
    found
}

fn theatre(bound: &Bound, stage: Arc<Stage>) -> anyhow::Result<Theatre> {
    let authority = bound
        .authority_pem()
        .context("the server has no authority of its own")?
        .to_owned();
    Ok(Theatre {
        stage,
        client: Client::trusting(&authority, Http::One)?,
        admission: format!("https://localhost:{}", bound.admission_address()?.port()),
        observe: format!("http://{}", bound.observe_address()?),
        authority,
    })
}

async fn tell(story: &Story, theatre: &Theatre, output: &mut Output) -> anyhow::Result<Found> {
    let colour = output.colour();
    let title = paint(story.title, "1", colour);
    output.text(&format!(
        "{title}\n\n{}\n{}",
        paragraph(story.before),
        paragraph(LEGEND)
    ))?;
    let mut wrong = 0;
    let mut number = 0;
    for step in &story.steps {
        match step {
            Step::Moved(what, objects) => {
                theatre.stage.set(stage::facts(objects)?);
                output.text(&format!("\n{}", beside("── now", what)))?;
            }
            Step::Asked(asked) => {
                number += 1;
                let heard = ask(theatre, asked, number).await?;
                output.text(&scene(asked, &heard, number, colour))?;
                wrong += usize::from(!is_as_it_must_be(asked, &heard));
            }
        }
    }
    end(story, wrong, number, theatre, output).await
}

async fn ask(theatre: &Theatre, asked: &Asked, number: usize) -> anyhow::Result<Heard> {
    let review = asked.ask.review(number);
    let answer = theatre
        .client
        .post(&format!("{}/validate", theatre.admission), review.clone())
        .await?;
    Heard::read(&review, answer.body())
        .with_context(|| format!("step {number} got no answer to its review"))
}

fn is_as_it_must_be(asked: &Asked, heard: &Heard) -> bool {
    heard.allowed == asked.refused_by.is_empty()
        && heard.refused_by == asked.refused_by
        && heard.warned_by() == asked.warned_by
}

fn scene(asked: &Asked, heard: &Heard, number: usize, colour: bool) -> String {
    let title = paint(&format!("{number}. {}", asked.title), "1", colour);
    let verdict = match (heard.allowed, heard.warnings.is_empty()) {
        (false, _) => paint("REFUSED", "31", colour),
        (true, true) => paint("let through", "32", colour),
        (true, false) => paint("let through, with warnings", "33", colour),
    };
    let mut told = format!("\n{title}\n");
    told += &beside("asked", &question(&asked.ask));
    told += &beside("without", asked.without);
    told += &beside("fluxkeep", &verdict);
    told.extend(heard.message.lines().map(quoted));
    told.extend(
        heard
            .warnings
            .iter()
            .map(|warning| quoted(&format!("warning: {warning}"))),
    );
    if !is_as_it_must_be(asked, heard) {
        told += &beside(
            "WRONG",
            &format!(
                "expected: refused by {:?}, warned by {:?}",
                asked.refused_by, asked.warned_by
            ),
        );
    }
    told
}

async fn end(
    story: &Story,
    wrong: usize,
    number: usize,
    theatre: &Theatre,
    output: &mut Output,
) -> anyhow::Result<Found> {
    let sum = match wrong {
        0 => format!("All {number} answers were as they must be."),
        wrong => format!("{wrong} of {number} answers were NOT as they must be."),
    };
    output.text(&format!("\n{}\n{sum}\n", paragraph(story.end)))?;
    let metrics = theatre
        .client
        .get(&format!("{}/metrics", theatre.observe))
        .await?;
    let metrics = String::from_utf8_lossy(metrics.body()).into_owned();
    output.text(&format!(
        "\nWhat the server counted ({}/metrics):\n{}",
        theatre.observe,
        tell::samples(&metrics)
    ))?;
    Ok(if wrong == 0 {
        Found::Nothing
    } else {
        Found::Refusal
    })
}

/// Keeps the server running and prints curl commands for it.
async fn serve(story: &Story, theatre: &Theatre, output: &mut Output) -> anyhow::Result<()> {
    // Restores the story's first state, because the printed command sends the first review.
    theatre.stage.set(stage::facts(&story.stage)?);
    let folder = tempfile::tempdir().context("making a folder for the authority and a review")?;
    let first = story.steps.iter().find_map(|step| {
        if let Step::Asked(asked) = step {
            Some(asked)
        } else {
            None
        }
    });
    let review = first.context("the story has no review")?.ask.review(1);
    let authority = write(folder.path(), "ca.pem", &theatre.authority)?;
    let review = write(folder.path(), "review.json", &review)?;
    // Installed before the output: without handlers, a signal would end the process, and the folder
    // would stay.
    let interrupted = interrupt().context("listening for Ctrl-C")?;
    let terminated = terminate().context("listening for SIGTERM")?;
    let closed = hangup().context("listening for SIGHUP")?;
    output.text(&format!(
        "\nThe server goes on until Ctrl-C. Ask it yourself, in another terminal:\n\n  \
         curl --silent --cacert {authority} --header 'Content-Type: application/json' \\\n    \
         --data @{review} {}/validate\n\n  curl {}/metrics\n",
        theatre.admission, theatre.observe
    ))?;
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
        () = closed => {}
    }
    Ok(())
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path.display().to_string())
}
