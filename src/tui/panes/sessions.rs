//! The list: a line a session, its legs below where they are unfolded.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::{put, put_chosen};
use crate::output::phrase;
use crate::session::Leg;
use crate::stream::Role;
use crate::tui::format::{self, age, compact, cut, left, right, short};
use crate::tui::state::{Column, State};
use crate::tui::store::{Progress, Row, Store};

/// The margin: whether legs are shown, whether the session is chosen to be saved.
const MARGIN: usize = 3;

/// ```text
///    state      client           target           server       age   idle  sent       received   ping   why
/// ▸  open       10.0.0.17:50122  app/ws/chat      nginx>:9000  41m   0.8s  1.2k ▂▄▁   4.9k ▅▇▂   12ms
/// ▾  rejected   10.0.0.9:39050   app/ws/notify    nginx>:9001  0.1s                              426 upgrade-headers-stripped
///      client-proxy   10.0.0.9:39050 > 10.0.0.2:443     GET /ws/notify HTTP/1.1   426
///      proxy-backend  127.0.0.1:34738 > 127.0.0.1:9001  GET /ws/notify HTTP/1.0   426
/// ▸✓ aborted    10.0.0.31:41400  app/ws/chat      nginx>:9000  61s   60s   3          3                 idle-timeout
/// ```
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, store: &Store, state: &State) {
    if area.height == 0 {
        return;
    }
    let columns = state.list.columns.laid_out(usize::from(area.width).saturating_sub(MARGIN));
    put(frame, area, 0, &head(&columns, state));
    if state.list.len() == 0 {
        nothing(frame, area, store, state);
        return;
    }
    let mut at = 1;
    for id in state.list.visible() {
        if at >= usize::from(area.height) {
            break;
        }
        let Some(row) = store.row(*id) else { continue };
        let chosen = state.list.selected() == Some(*id);
        let line = line(row, &columns, store, state);
        match chosen {
            true => put_chosen(frame, area, at, &line, state),
            false => put(frame, area, at, &line),
        }
        at += 1;
        if let (true, Some(session)) = (state.list.is_unfolded(*id), row.session()) {
            for leg in &session.legs {
                put(frame, area, at, &leg_line(leg, state));
                at += 1;
            }
        }
    }
}

fn head(columns: &[(Column, usize)], state: &State) -> Line<'static> {
    let mut spans = vec![Span::raw(" ".repeat(MARGIN))];
    for (column, width) in columns {
        let arrow = match (state.list.sort == *column, state.list.descending) {
            (true, true) => "↓",
            (true, false) => "↑",
            (false, _) => "",
        };
        let name = cut(column.name(), width.saturating_sub(arrow.width())) + arrow;
        spans.push(Span::styled(left(&name, *width) + " ", state.theme.head()));
    }
    Line::from(spans)
}

/// What is said where there is no row.
fn nothing(frame: &mut Frame<'_>, area: Rect, store: &Store, state: &State) {
    let width = usize::from(area.width).saturating_sub(2 * MARGIN);
    let text = match &store.progress {
        _ if !store.rows().is_empty() => {
            format!("No session matches the filter: {}. Esc shows all.", state.list.filter_text())
        }
        Progress::Failed(trouble) => trouble.clone(),
        Progress::Running => "No WebSocket yet.".to_owned(),
        Progress::Done => "No WebSocket was seen. 3 tells what there was instead.".to_owned(),
    };
    for (row, line) in format::wrapped(&format::wire(state.mask, &text), width).into_iter().enumerate() {
        put(frame, area, 2 + row, &Line::raw(" ".repeat(MARGIN) + &line));
    }
}

fn line(row: &Row, columns: &[(Column, usize)], store: &Store, state: &State) -> Line<'static> {
    let legs = row.session().map_or(0, |session| session.legs.len());
    let fold = match (legs > 1, state.list.is_unfolded(row.id)) {
        (_, true) => '▾',
        (true, false) => '▸',
        (false, false) => ' ',
    };
    let mark = if state.list.is_chosen(row.id) { '✓' } else { ' ' };
    let mut spans = vec![Span::raw(format!("{fold}{mark} "))];
    for (column, width) in columns {
        spans.push(cell(row, *column, *width, store, state));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

fn cell(row: &Row, column: Column, width: usize, store: &Store, state: &State) -> Span<'static> {
    let wire = |text: &str| format::wire(state.mask, text);
    let talk = |role: Role, style: Style| {
        let talk = &row.talk[role];
        if talk.messages == 0 {
            return Span::raw(left("", width));
        }
        let until = row.end.unwrap_or(store.now);
        let graph = talk.activity.graph(row.start, until, width.saturating_sub(5));
        Span::styled(left(&format!("{} {graph}", right(&compact(talk.messages), 4)), width), style)
    };
    let plain = |text: String| Span::raw(left(&text, width));
    match column {
        Column::Id => plain(format!("s{}", row.id.0)),
        Column::State => Span::styled(left(row.condition.word(), width), state.theme.condition(row.condition)),
        Column::Client => plain(format::cut_front(&row.client.to_string(), width)),
        Column::Target => plain(format::cut_target(&wire(&row.target), width)),
        Column::Server => plain(server(row, width)),
        Column::Age => plain(right(&age(row.age(store.now)), width)),
        Column::Idle => plain(right(&row.idle(store.now).map(age).unwrap_or_default(), width)),
        Column::FromClient => talk(Role::Client, state.theme.client()),
        Column::FromServer => talk(Role::Server, state.theme.server()),
        Column::Ping => plain(right(&row.rtt.map(short).unwrap_or_default(), width)),
        Column::Bytes => {
            let bytes = row.talk.client.bytes + row.talk.server.bytes;
            plain(right(&if bytes > 0 { compact(bytes) } else { String::new() }, width))
        }
        Column::Why => {
            let style = row.severity.map_or(Style::new(), |severity| state.theme.severity(severity));
            Span::styled(left(&wire(&row.why), width), style)
        }
    }
}

/// `nginx>:9000`, or where the client's connection leads.
fn server(row: &Row, width: usize) -> String {
    match row.proxy {
        Some(proxy) => {
            let room = width.saturating_sub(proxy.len() + 1).max(width / 2);
            format!("{proxy}>{}", format::cut_front(&format::port_or_endpoint(row.backend, row.front), room))
        }
        None => format::cut_front(&row.front.to_string(), width),
    }
}

fn leg_line(leg: &Leg, state: &State) -> Line<'static> {
    let mut what = match &leg.request {
        Some(request) => {
            let stream = leg.h2.as_ref().map(|h2| format!(" on stream {}", h2.stream_id)).unwrap_or_default();
            let line = format!("{} {} {}{stream}", request.head.method(), request.head.target(), version(request));
            format::wire(state.mask, &line)
        }
        None => tls(leg, state).unwrap_or_else(|| "no request seen".to_owned()),
    };
    if let Some(status) = leg.status() {
        what.push_str(&format!("   {status}"));
    }
    if let Some(reason) = leg.joined_by {
        what.push_str(&format!("   joined by {}", phrase::join_reason(reason)));
    }
    let way = format!("{} > {}", leg.client, leg.server);
    Line::styled(format!("     {} {} {what}", left(leg.role.name(), 14), left(&way, 46)), state.theme.dim())
}

fn version(request: &crate::session::leg::Request) -> &'static str {
    request.head.version().map_or("", phrase::version)
}

fn tls(leg: &Leg, state: &State) -> Option<String> {
    let tls = leg.tls.as_ref()?;
    let name = tls.sni.as_deref().map(|name| format!(" {}", format::wire(state.mask, name))).unwrap_or_default();
    let keys = if tls.decrypted_by.is_some() { "" } else { ", no keys" };
    Some(format!("{}{name}{keys}", tls.version.unwrap_or("TLS")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::mask::Mask;
    use crate::tui::theme::Theme;

    #[test]
    fn a_name_gives_way_to_its_arrow() {
        let mut state = State::new("a.pcap".to_owned(), false, Mask::Secrets, Theme::None);
        (state.list.sort, state.list.descending) = (Column::FromServer, true);
        let shown = |width| head(&[(Column::FromServer, width), (Column::Age, 4)], &state).to_string();
        assert_eq!(shown(10), "   received↓  age  ");
        assert_eq!(shown(8), "   receiv…↓ age  ");
    }
}
