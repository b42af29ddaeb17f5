//! What people see on stdout: where everything is, and what becomes of each graph. The log is elsewhere, on stderr.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use agent_server_domain::ports::{GraphInfo, GraphStatus};

use crate::config::project::Project;

/// What the banner says.
pub(crate) struct Banner<'a> {
    /// Where clients on this machine reach the server.
    pub(crate) url: String,
    /// Folder of all data.
    pub(crate) data_dir: &'a Path,
    /// What is served.
    pub(crate) project: &'a Project,
    /// Worker processes and concurrent runs in each.
    pub(crate) workers: (u32, u32),
    /// Address of a studio.
    pub(crate) studio_url: Option<&'a str>,
}

impl std::fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = &self.url;
        writeln!(f, "agent-server {}\n", env!("CARGO_PKG_VERSION"))?;
        let mut line = |name: &str, text: &str| writeln!(f, "  {name:<8} {text}");
        line("API", url)?;
        line("Docs", &format!("{url}/docs"))?;
        if let Some(studio) = self.studio_url {
            line("Studio", &format!("{}/studio/?baseUrl={url}", studio.trim_end_matches('/')))?;
        }
        line("Data", &self.data_dir.display().to_string())?;
        match &self.project.file {
            Some(file) => line("Project", &file.display().to_string())?,
            None => line("Project", "none here; serving what is built in")?,
        }
        let ids: Vec<_> = self.project.graphs.iter().map(|graph| graph.id.as_str()).collect();
        line("Graphs", &ids.join(", "))?;
        if self.project.needs_python() {
            let (processes, runs) = self.workers;
            line("Workers", &format!("{processes} Python, {runs} concurrent runs each"))?;
        }
        Ok(())
    }
}

/// The address of the server as a client on this machine writes it.
pub(crate) fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Lines about the graphs whose status is not the one in `before`.
pub(crate) fn changes(before: &[GraphInfo], now: &[GraphInfo]) -> String {
    let mut lines = String::new();
    for graph in now {
        let known = before.iter().find(|known| known.graph_id == graph.graph_id);
        if known.is_some_and(|known| known.status == graph.status) {
            continue;
        }
        let id = &graph.graph_id;
        let written = match &graph.status {
            GraphStatus::Loading => Ok(()),
            GraphStatus::Ready => writeln!(lines, "  ready    {id}"),
            GraphStatus::Failed(cause) => writeln!(lines, "  failed   {id}: {cause}"),
        };
        debug_assert!(written.is_ok(), "strings take everything");
    }
    lines
}

/// Writes to stdout. Nobody may be reading there any more, which is no reason to stop serving.
pub(crate) fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banner_says_where_everything_is() {
        let banner = Banner {
            url: url("0.0.0.0:2024".parse().unwrap()),
            data_dir: Path::new("/p/.agent-server"),
            project: &Project::demo("/p".into()),
            workers: (2, 10),
            studio_url: Some("https://studio/"),
        };
        let text = banner.to_string();
        let text = text.split_once("\n\n").unwrap().1;
        assert_eq!(
            text,
            "  API      http://127.0.0.1:2024\n  \
               Docs     http://127.0.0.1:2024/docs\n  \
               Studio   https://studio/studio/?baseUrl=http://127.0.0.1:2024\n  \
               Data     /p/.agent-server\n  \
               Project  none here; serving what is built in\n  \
               Graphs   demo\n"
        );
    }

    #[test]
    fn a_graph_is_mentioned_when_its_status_changes() {
        let graph = |id: &str, status| GraphInfo {
            graph_id: id.into(),
            name: None,
            description: None,
            status,
        };
        let before = [graph("a", GraphStatus::Loading), graph("b", GraphStatus::Ready)];
        let now = [
            graph("a", GraphStatus::Failed("no module".into())),
            graph("b", GraphStatus::Ready),
            graph("c", GraphStatus::Ready),
        ];
        assert_eq!(changes(&before, &now), "  failed   a: no module\n  ready    c\n");
    }
}
