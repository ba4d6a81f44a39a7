//! Rights are needed to open devices, and for little else.
//!
//! What reads packets from strangers should not be root: once the devices are open the process becomes the user who
//! called sudo, or nobody; it gives up its capabilities, and can gain none again. Where the kernel has Landlock it also
//! gives up what it does not need of files, and all of programs and TCP connections.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, make_bitflags,
};

/// What a capture still needs once its devices are open.
#[derive(Clone, Debug, Default)]
pub struct Rights<'a> {
    /// Whom to become. Without one the user who called sudo, else nobody.
    pub user: Option<&'a str>,
    /// Without a user to become: to stay who one is, because files are still to be made in one's folders. Root without
    /// capabilities is a user like others.
    pub stay: bool,
    /// The folder where files are written.
    pub write: Option<PathBuf>,
    /// The folder of a file that is followed, the key log.
    pub read: Option<PathBuf>,
    /// Somebody sits at a screen and may open and save files anywhere.
    pub person: bool,
}

/// Gives up everything else, for the calling thread and those that it starts. The name of the user that the process became;
/// `None` when it stays who it is.
///
/// # Errors
///
/// When the user does not exist, or the kernel refuses: in one line.
pub fn drop(rights: &Rights<'_>) -> Result<Option<String>, String> {
    let user = become_user(rights)?;
    for set in [caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable, caps::CapSet::Ambient] {
        let _ = caps::clear(None, set); // there may be none
    }
    no_new_privileges();
    // An older kernel has less of it, or nothing: then it is as with other programs.
    let _ = confine(rights);
    Ok(user)
}

#[allow(unsafe_code, reason = "setresuid(2) and its kin have no safe binding in the crates that are used")]
fn become_user(rights: &Rights<'_>) -> Result<Option<String>, String> {
    // SAFETY: no pointer is passed.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        return match rights.user {
            Some(user) => Err(format!("-Z {user} needs root")),
            None => Ok(None),
        };
    }
    let Some(User { name, uid, gid }) = target(rights)? else { return Ok(None) };
    // SAFETY: an empty list of groups may be a null pointer; the other calls take numbers. The order matters: groups can
    // only be changed while still root. glibc changes all threads.
    let failed = unsafe {
        libc::setgroups(0, std::ptr::null()) != 0
            || libc::setresgid(gid, gid, gid) != 0
            || libc::setresuid(uid, uid, uid) != 0
    };
    match failed {
        true => Err(format!("cannot become user {uid}: {}", std::io::Error::last_os_error())),
        false => Ok(Some(name)),
    }
}

#[allow(unsafe_code, reason = "prctl(2) has no safe binding in the crates that are used")]
fn no_new_privileges() {
    // SAFETY: the arguments are numbers.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
}

/// Whom to become.
#[derive(Debug)]
struct User {
    name: String,
    uid: libc::uid_t,
    gid: libc::gid_t,
}

impl User {
    fn new(name: &str, (uid, gid): (libc::uid_t, libc::gid_t)) -> User {
        User { name: name.to_owned(), uid, gid }
    }
}

/// User and group to become, if any.
fn target(rights: &Rights<'_>) -> Result<Option<User>, String> {
    if let Some(user) = rights.user {
        let ids = ids_of(user).ok_or_else(|| format!("-Z {user}: there is no such user"))?;
        return Ok(Some(User::new(user, ids)));
    }
    let variable = |name: &str| std::env::var(name).ok();
    let number = |name: &str| variable(name)?.parse::<u32>().ok();
    Ok(match (number("SUDO_UID"), number("SUDO_GID")) {
        (Some(uid), Some(gid)) if uid != 0 => {
            let name = variable("SUDO_USER").unwrap_or_else(|| uid.to_string());
            Some(User::new(&name, (uid, gid)))
        }
        _ if rights.stay => None,
        _ => Some(User::new("nobody", ids_of("nobody").unwrap_or((65_534, 65_534)))),
    })
}

#[allow(unsafe_code, reason = "getpwnam(3) has no safe binding in the crates that are used")]
fn ids_of(user: &str) -> Option<(libc::uid_t, libc::gid_t)> {
    let name = CString::new(user).ok()?;
    // SAFETY: the name ends with NUL; the result is read at once, before anything else can call getpwnam.
    unsafe {
        let entry = libc::getpwnam(name.as_ptr());
        entry.as_ref().map(|entry| (entry.pw_uid, entry.pw_gid))
    }
}

/// What is read while packets are captured: the state of interfaces, the names and features of terminals.
const READ: [&str; 4] = ["/sys", "/proc", "/etc", "/usr/share"];

/// Landlock: files are read and written where it is needed, nothing is executed, nothing is connected.
fn confine(rights: &Rights<'_>) -> Result<(), RulesetError> {
    const READING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    const WRITING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | Truncate | MakeReg});
    let version = ABI::V4; // Linux 6.7; what an older kernel does not know is left out
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(version))?;
    let mut ruleset = ruleset.handle_access(AccessNet::from_all(version))?.create()?;
    if rights.person {
        ruleset = allow(ruleset, Path::new("/"), WRITING | AccessFs::MakeDir)?;
    }
    for path in READ {
        ruleset = allow(ruleset, Path::new(path), READING)?;
    }
    if let Some(folder) = &rights.read {
        ruleset = allow(ruleset, folder, READING)?;
    }
    if let Some(folder) = &rights.write {
        ruleset = allow(ruleset, folder, WRITING)?;
    }
    ruleset.restrict_self().map(|_| ())
}

/// What is not there need not be allowed.
fn allow(ruleset: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(folder) => ruleset.add_rule(PathBeneath::new(folder, access)),
        Err(_) => Ok(ruleset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_looked_up() {
        assert_eq!(ids_of("root"), Some((0, 0)));
        assert_eq!(ids_of("nobody at all"), None);
        let nobody = Rights { user: Some("nobody at all"), ..Rights::default() };
        assert!(target(&nobody).is_err_and(|error| error.contains("no such user")));
    }

    #[test]
    fn files_are_written_where_it_is_needed_and_nowhere_else() {
        let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let rights = Rights { write: Some(one.path().to_owned()), ..Rights::default() };
        let (inside, outside) = (one.path().join("a"), other.path().join("a"));
        // Landlock holds for the thread that asks for it.
        let confined = std::thread::spawn(move || {
            no_new_privileges();
            confine(&rights).map_err(|error| error.to_string())?;
            let connected = std::net::TcpStream::connect("127.0.0.1:9").map_err(|error| error.kind());
            Ok::<_, String>((std::fs::write(&inside, ""), std::fs::write(&outside, ""), connected.err()))
        });
        let (inside, outside, connected) = confined.join().expect("it runs").expect("rules can be made");
        assert!(inside.is_ok(), "{inside:?}");
        let Err(refused) = outside else {
            eprintln!("SKIPPED: this kernel has no Landlock");
            return;
        };
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
        assert_eq!(connected, Some(std::io::ErrorKind::PermissionDenied));
    }
}
