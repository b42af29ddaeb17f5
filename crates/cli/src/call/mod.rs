//! `agent-server call`: every operation of the API document as a command.
//!
//! Nothing here knows an operation: [`flags`] turns the document into flags, [`values`] what was typed into a request,
//! [`output`] prints what comes back. An operation that is added to the document is a command with the next build.

mod flags;
mod kind;
mod list;
mod output;
mod values;

use std::io::{self, IsTerminal as _};

use agent_server_api::Operation;
use agent_server_client::{Client, RawResponse};
use clap::{ArgAction, ArgMatches, Args as _, Command, FromArgMatches, arg, value_parser};
use futures::StreamExt as _;

use crate::{
    refusal::{Refusal, Result},
    remote::Remote,
};
use output::{Format, Printer};

const MEDIA_STREAM: &str = "text/event-stream";

/// What `call` takes. Its commands come from the document and not from here.
#[derive(Clone, Debug)]
pub(crate) struct CallArgs(ArgMatches);

impl clap::Args for CallArgs {
    fn augment_args(command: Command) -> Command {
        // Made only when `call` is what somebody typed: the document is long, and every start would read it.
        command.defer(define)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for CallArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

fn define(command: Command) -> Command {
    let connection = [
        arg!(--header <HEADER> "Header to send, as 'name: value'; may be repeated")
            .action(ArgAction::Append),
        arg!(--output <FORMAT> "How to print answers [default: table at a terminal, else json]")
            .value_parser(value_parser!(Format)),
    ];
    let list = arg!(--list "List the operations");
    Remote::augment_args(command)
        .args(connection)
        .mut_args(|arg| arg.global(true).help_heading("Connection and output"))
        .arg(list)
        .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}")
        .after_help(list::help())
        .subcommand_value_name("OPERATION")
        .subcommand_required(false)
        .arg_required_else_help(true)
        .subcommands(agent_server_api::OPERATIONS.iter().map(flags::command))
}

/// Makes the call.
///
/// Errors: a refusal for what cannot be sent; the server's own words where it refuses.
pub(crate) fn run(args: &CallArgs) -> Result<()> {
    let Some((name, given)) = args.0.subcommand() else {
        Printer::new(Format::Json).text(&list::list())?;
        return Ok(());
    };
    let operation = Operation::find(&name.replace('-', "_"))
        .ok_or_else(|| Refusal::usage(format!("there is no operation {name}")))?;
    let format = given.get_one::<Format>("output").copied();
    let printer = Printer::new(format.unwrap_or_else(Format::usual));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(call(operation, given, printer)) {
        // Whoever reads has seen enough.
        Err(error) if is_closed_pipe(&error) => Ok(()),
        result => result,
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn call(operation: &Operation, given: &ArgMatches, mut printer: Printer) -> Result<()> {
    let client = client(given)?;
    let request = values::request(&client, operation, given)?;
    if is_stream(operation) {
        let mut events = request.stream().await?;
        while let Some(event) = events.next().await {
            printer.event(&event?)?;
        }
        return Ok(());
    }
    let media_types: Vec<_> = successes(operation).collect();
    let accept = if media_types.is_empty() { "*/*".into() } else { media_types.join(", ") };
    answer(request.send(&accept).await?, printer).await
}

/// Prints an answer that is not known to be a stream before it is there.
async fn answer(answer: RawResponse, mut printer: Printer) -> Result<()> {
    match answer.content_type() {
        MEDIA_STREAM => {
            let mut events = answer.into_events();
            while let Some(event) = events.next().await {
                printer.event(&event?)?;
            }
        }
        "application/json" => {
            let next = answer.headers().get("x-pagination-next").cloned();
            printer.json(&answer.bytes().await?)?;
            if let Some(offset) = next.as_ref().and_then(|offset| offset.to_str().ok())
                && io::stderr().is_terminal()
            {
                eprintln!("There is more: --offset {offset}");
            }
        }
        _ => match answer.text().await? {
            text if text.is_empty() => {}
            text => printer.text(&text)?,
        },
    }
    Ok(())
}

/// Whether an operation answers with events and nothing else.
fn is_stream(operation: &Operation) -> bool {
    successes(operation).eq([MEDIA_STREAM])
}

/// Media types of the answers that are wanted, each once.
fn successes(operation: &Operation) -> impl Iterator<Item = &'static str> + use<> {
    let mut seen = Vec::new();
    for response in operation.responses.iter().filter(|response| !response.failure) {
        if let Some(media_type) = response.media_type
            && !seen.contains(&media_type)
        {
            seen.push(media_type);
        }
    }
    seen.into_iter()
}

fn client(given: &ArgMatches) -> Result<Client> {
    let mut builder = Remote::from_arg_matches(given)?.client();
    for header in given.get_many::<String>("header").into_iter().flatten() {
        let Some((name, value)) = header.split_once(':') else {
            return Err(Refusal::usage(format!("--header: '{header}' is not 'name: value'")).into());
        };
        builder = builder.header(name.trim(), value.trim());
    }
    builder.build().map_err(|error| Refusal::usage(error.to_string()).into())
}

#[cfg(test)]
mod tests;
