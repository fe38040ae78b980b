//! The project's own chores. `cargo xtask test` is everything that CI runs, for a machine that never saw the project.

mod citations;
mod command;
mod corpora;
mod deb;
mod debian;
mod layers;
mod peers;
mod picture;
mod purity;
mod source;
mod steps;
mod structure;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use steps::STEPS;

const USAGE: &str = "\
Usage: cargo xtask test [--only STEP]... [--list]
       cargo xtask deb
       cargo xtask picture
       cargo xtask rfc-sections FOLDER
       cargo xtask xep-sections FOLDER

  test            run every check that CI runs, and install the Debian packages that it needs
  --only STEP     run this step alone; may be given more than once
  --list          name the steps
  deb             build the release and its Debian package, and say where that is
  picture         draw docs/images/demo.svg, the README's picture, from what the demo prints
  rfc-sections    list the sections of the RFCs that are cited, from the texts in FOLDER
  xep-sections    the same for the extensions of XMPP
  -h, --help      print this
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match parse(&arguments) {
        Ok(Request::Help) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Request::List) => {
            for step in STEPS {
                println!("{:<12}{}", step.name, step.about);
            }
            ExitCode::SUCCESS
        }
        Ok(Request::Test { only }) => steps::run(&only),
        Ok(Request::Deb) => done(deb::make()),
        Ok(Request::Picture) => done(picture::draw()),
        Ok(Request::RfcSections { folder }) => done(citations::list_rfc_sections(&folder)),
        Ok(Request::XepSections { folder }) => done(citations::list_xep_sections(&folder)),
        Err(problem) => {
            eprint!("{problem}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn done(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, PartialEq)]
enum Request {
    Help,
    List,
    Deb,
    Picture,
    RfcSections { folder: PathBuf },
    XepSections { folder: PathBuf },
    Test { only: Vec<String> },
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    let mut words = arguments.iter().map(String::as_str);
    match words.next() {
        Some("test") => {}
        Some("deb") => return Ok(Request::Deb),
        Some("picture") => return Ok(Request::Picture),
        Some("rfc-sections") => {
            let folder = words
                .next()
                .ok_or("rfc-sections wants the folder of the texts.")?;
            return Ok(Request::RfcSections {
                folder: folder.into(),
            });
        }
        Some("xep-sections") => {
            let folder = words
                .next()
                .ok_or("xep-sections wants the folder of the texts.")?;
            return Ok(Request::XepSections {
                folder: folder.into(),
            });
        }
        None | Some("-h" | "--help" | "help") => return Ok(Request::Help),
        Some(other) => return Err(format!("There is no chore {other:?}.")),
    }
    let mut only = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "-h" | "--help" => return Ok(Request::Help),
            "--list" => return Ok(Request::List),
            "--only" => {
                let name = words
                    .next()
                    .ok_or("--only wants the name of a step; --list names them.")?;
                if !STEPS.iter().any(|step| step.name == name) {
                    return Err(format!("There is no step {name:?}; --list names them."));
                }
                only.push(name.to_owned());
            }
            other => return Err(format!("{other:?} means nothing here.")),
        }
    }
    Ok(Request::Test { only })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(parsed("test"), Ok(Request::Test { only: Vec::new() }));
        let two = Request::Test {
            only: vec!["fmt".to_owned(), "layers".to_owned()],
        };
        assert_eq!(parsed("test --only fmt --only layers"), Ok(two));
        assert_eq!(parsed("test --list"), Ok(Request::List));
        assert_eq!(parsed("test -h"), Ok(Request::Help));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in ["tset", "test --only", "test --only nothing", "test --fast"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
