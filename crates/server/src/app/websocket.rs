//! One WebSocket of the application. The handshake and the frames of the wire are the server's, the messages pass through.

use agent_server_domain::auth::User;
use axum::{
    extract::{
        FromRequestParts as _, Request, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::net::{UnixStream, unix::OwnedWriteHalf};
use tokio_util::task::AbortOnDropHandle;

use super::{
    call,
    frames::{Reader, write},
    no_answer,
};
use crate::error::detail_response;

#[derive(Deserialize)]
struct Accepted {
    subprotocol: Option<String>,
    headers: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Close {
    code: u16,
    reason: String,
}

/// Asks the application whether it takes the WebSocket, and connects both if so.
pub(super) async fn serve(stream: UnixStream, request: Request, user: Option<&User>) -> Response {
    let (mut parts, _) = request.into_parts();
    let mut scope = call::scope("websocket", &parts, user);
    let offered = parts.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offered: Vec<String> = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    scope["subprotocols"] = serde_json::json!(offered);
    scope["extensions"] = serde_json::json!({"websocket.http.response": {}});
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.into_response(),
    };
    let (read, mut half) = stream.into_split();
    let mut reader = Reader::new(read);
    if write(&mut half, b's', scope.to_string().as_bytes()).await.is_err() {
        return no_answer();
    }
    match reader.next().await {
        Ok(Some((b'A', accepted))) => accept(upgrade, &accepted, reader, half),
        // What was not accepted is refused with one status, as in other servers.
        Ok(Some((b'C', _))) => detail_response(StatusCode::FORBIDDEN, "Forbidden"),
        Ok(Some((b'S', head))) => {
            let keep = AbortOnDropHandle::new(tokio::spawn(async move {
                let _half = half;
                std::future::pending::<()>().await;
            }));
            call::answered(&head, reader, keep)
        }
        _ => no_answer(),
    }
}

fn accept(
    upgrade: WebSocketUpgrade,
    accepted: &[u8],
    reader: Reader,
    half: OwnedWriteHalf,
) -> Response {
    let Ok(Accepted { subprotocol, headers }) = serde_json::from_slice(accepted) else {
        return no_answer();
    };
    let upgrade = match subprotocol {
        Some(name) => upgrade.protocols([name]),
        None => upgrade,
    };
    let mut response = upgrade.on_upgrade(move |socket| connect(socket, reader, half));
    for (name, value) in call::headers(headers) {
        response.headers_mut().append(name, value);
    }
    response
}

/// Passes messages on until one side ends.
async fn connect(mut socket: WebSocket, mut reader: Reader, mut half: OwnedWriteHalf) {
    loop {
        tokio::select! {
            message = socket.recv() => {
                let Some(Ok(message)) = message else {
                    // Without a word: the application sees the end of the connection.
                    return;
                };
                let written = match message {
                    Message::Text(text) => write(&mut half, b't', text.as_bytes()).await,
                    Message::Binary(bytes) => write(&mut half, b'x', &bytes).await,
                    Message::Ping(_) | Message::Pong(_) => Ok(()),
                    Message::Close(close) => {
                        let close = close.map_or(
                            Close { code: 1005, reason: String::new() },
                            |close| Close { code: close.code, reason: close.reason.to_string() },
                        );
                        let close = serde_json::to_vec(&close).unwrap_or_default();
                        let _ = write(&mut half, b'c', &close).await;
                        // Answers it: the client need not wait for the application.
                        while let Some(Ok(_)) = socket.recv().await {}
                        // What the application still says is heard by nobody, but it must be able to end in peace.
                        while let Ok(Some(_)) = reader.next().await {}
                        return;
                    }
                };
                if written.is_err() {
                    return going_away(socket).await;
                }
            }
            frame = reader.next() => {
                let message = match frame {
                    Ok(Some((b'T', text))) => match String::from_utf8(text.to_vec()) {
                        Ok(text) => Message::Text(text.into()),
                        Err(_) => return going_away(socket).await,
                    },
                    Ok(Some((b'X', bytes))) => Message::Binary(bytes),
                    Ok(Some((b'C', close))) => {
                        let close = serde_json::from_slice::<Close>(&close).ok();
                        let close = close.map(|Close { code, reason }| CloseFrame {
                            code,
                            reason: reason.into(),
                        });
                        let _ = socket.send(Message::Close(close)).await;
                        return;
                    }
                    _ => return going_away(socket).await,
                };
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The application has ended without a word.
async fn going_away(mut socket: WebSocket) {
    let close = CloseFrame { code: 1011, reason: "The custom app ended".into() };
    let _ = socket.send(Message::Close(Some(close))).await;
}
