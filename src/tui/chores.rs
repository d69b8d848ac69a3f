//! What the terminal does for the interface: the clipboard, an editor, holding the program.

use super::app::{App, Chore};
use super::terminal::{Session, terminal_error};
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::io::Write;
use std::process::Command;

/// Most bytes put on the clipboard: terminals drop longer sequences.
const CLIPBOARD: usize = 74_994;

/// Does one chore. What goes wrong with it is told on the screen.
///
/// # Errors
/// `Io` when the terminal is gone.
pub fn run(session: &mut Session, app: &mut App, chore: Chore) -> Result<()> {
    match chore {
        Chore::Copy(text) => {
            let mut out = std::io::stdout();
            out.write_all(clipboard(&text).as_bytes()).and_then(|()| out.flush()).map_err(|e| terminal_error(&e))
        }
        Chore::Edit { screen, token, ending, text } => {
            match session.aside(app.mouse(), || edit(&text, ending))? {
                Ok(changed) => app.edited(screen, &token, Some(changed).filter(|changed| *changed != text)),
                Err(error) => app.tell(&error),
            }
            Ok(())
        }
        Chore::Suspend => suspend(session, app.mouse()),
    }
}

/// Holds the program as Ctrl-Z does in other programs; the shell's `fg` goes on.
///
/// # Errors
/// `Io` when the terminal is gone.
pub fn suspend(session: &mut Session, mouse: bool) -> Result<()> {
    session
        .aside(mouse, || signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP))?
        .map_err(|e| terminal_error(&e))
}

/// The sequence that puts a text on the clipboard of the terminal, over any number of connections (OSC 52).
fn clipboard(text: &str) -> String {
    let mut end = text.len().min(CLIPBOARD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("\x1b]52;c;{}\x07", base64(&text.as_bytes()[..end]))
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let sign = SIGNS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= three.len() { char::from(sign) } else { '=' });
        }
    }
    out
}

/// Opens the user's editor on a file with `text` and gives what it holds afterwards.
fn edit(text: &str, ending: &str) -> Result<String> {
    let file = tempfile::Builder::new().prefix("linly-bench-").suffix(&format!(".{ending}")).tempfile();
    let mut file = file.map_err(|e| Error::new(Kind::Io, e.to_string()))?;
    file.write_all(text.as_bytes()).map_err(|e| Error::io(file.path(), &e))?;
    let named =
        ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()));
    let editor = named.unwrap_or_else(|| "vi".to_owned());
    // The variable may hold arguments; a shell takes them apart as the user meant.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file.path()).status();
    let hint = || tr!("set EDITOR to an editor that is installed", "请将环境变量 EDITOR 设为已安装的编辑器");
    match status {
        Ok(status) if status.success() => std::fs::read_to_string(file.path()).map_err(|e| Error::io(file.path(), &e)),
        Ok(status) => Err(Error::new(
            Kind::Io,
            tr!("the editor `{editor}` ended with {status}", "编辑器 `{editor}` 异常退出：{status}"),
        )
        .hint(hint())),
        Err(e) => Err(Error::new(Kind::Io, e.to_string()).hint(hint())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        // The test vectors of its section 10.
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let sequence = clipboard(&"聚".repeat(100_000));
        assert!(sequence.len() < 100_100 && sequence.ends_with('\u{7}'), "{}", sequence.len());
    }
}
