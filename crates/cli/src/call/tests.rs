//! What is true of the commands of all operations, whichever there are.

use agent_server_api::OPERATIONS;
use clap::CommandFactory as _;

use crate::args::Cli;

#[test]
fn every_operation_is_a_sound_command_with_a_flag_for_everything() {
    let mut cli = Cli::command();
    cli.build();
    let call = cli.find_subcommand("call").unwrap();
    for operation in OPERATIONS {
        let name = operation.name.replace('_', "-");
        let command = call.find_subcommand(&name).unwrap_or_else(|| panic!("no command {name}"));
        let ids: Vec<_> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
        for parameter in operation.parameters {
            assert!(ids.contains(&&*super::flags::parameter_id(parameter)), "{name}: {ids:?}");
        }
        for field in super::flags::fields(operation) {
            assert!(ids.contains(&&*super::flags::field_id(field.name)), "{name}: {ids:?}");
        }
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{name}: {} has no text", arg.get_id());
        }
    }
}
