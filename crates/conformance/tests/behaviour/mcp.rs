//! Tag MCP.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{only, same},
};
use crate::{answer::Answer, request::Request, session::Session};

behaviours! {
    post_mcp: assistants_are_tools;
    post_mcp: tool_is_called_with_a_text;
    post_mcp: failure_of_a_tool_is_its_result;
    post_mcp: versions_are_negotiated;
    post_mcp: mistakes_have_the_codes_of_the_protocol;
    get_mcp: there_is_no_stream_of_the_servers;
    delete_mcp: session_that_has_no_name_is_none;
}

async fn send(session: &Session, method: &str, params: Value) -> Result<Answer> {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let request = Request::to("post_mcp")?.header("Accept", "application/json");
    session.send(&request.body(message)).await
}

async fn ask(session: &Session, method: &str, params: Value) -> Result<Value> {
    let answer = send(session, method, params).await?.success()?;
    Ok(answer["result"].clone())
}

/// The name under which the graph of the suite is a tool.
async fn tool(session: &Session) -> Result<Value> {
    let mut cursor = Value::Null;
    loop {
        let page = ask(session, "tools/list", json!({ "cursor": cursor })).await?;
        let tools = page["tools"].as_array().context("no tools")?;
        let of_graph = |tool: &&Value| tool["title"] == session.graph_id.as_str();
        if let Some(tool) = tools.iter().find(of_graph) {
            return Ok(tool.clone());
        }
        cursor = page["nextCursor"].clone();
        ensure!(cursor.is_string(), "{} is no tool", session.graph_id);
    }
}

async fn assistants_are_tools(session: &Session) -> Result<()> {
    let tool = tool(session).await?;
    let expected = json!({
        "title": session.graph_id,
        "annotations": {
            "readOnlyHint": false,
            "destructiveHint": false,
            "idempotentHint": false,
            "openWorldHint": true,
        },
    });
    same(&only(&tool, &["title", "annotations"]), &expected)?;
    ensure!(tool["inputSchema"]["type"] == "object", "{tool:#}");
    ensure!(tool["inputSchema"]["properties"]["messages"].is_object(), "{tool:#}");
    Ok(())
}

async fn tool_is_called_with_a_text(session: &Session) -> Result<()> {
    let said = json!([{ "role": "user", "content": "hello" }]);
    let params = json!({ "name": tool(session).await?["name"], "arguments": { "messages": said } });
    let result = ask(session, "tools/call", params).await?;
    let text = result["content"][0]["text"].as_str().context("no text")?;
    let values: Value = serde_json::from_str(text)?;
    ensure!(values == result["structuredContent"], "{result:#}");
    ensure!(values["messages"][1]["content"] == "You said: hello", "{values:#}");
    ensure!(result.get("isError").is_none(), "{result:#}");
    Ok(())
}

async fn failure_of_a_tool_is_its_result(session: &Session) -> Result<()> {
    let said = json!([{ "role": "user", "content": "fail" }]);
    let params = json!({ "name": tool(session).await?["name"], "arguments": { "messages": said } });
    let result = ask(session, "tools/call", params).await?;
    ensure!(result["isError"] == true && result.get("structuredContent").is_none(), "{result:#}");
    Ok(())
}

async fn versions_are_negotiated(session: &Session) -> Result<()> {
    for (wanted, agreed) in [("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-11-25")] {
        let result = ask(session, "initialize", json!({ "protocolVersion": wanted })).await?;
        let expected = json!({
            "protocolVersion": agreed,
            "capabilities": { "tools": { "listChanged": false } },
            "serverInfo": { "name": "LangGraph", "version": "0.16.7" },
        });
        same(&result, &expected)?;
    }
    Ok(())
}

async fn mistakes_have_the_codes_of_the_protocol(session: &Session) -> Result<()> {
    for (method, params, code, message) in [
        ("resources/list", json!({}), -32601, "Method not found: resources/list"),
        ("tools/call", json!({}), -32602, "Unknown tool: None"),
        ("tools/call", json!({ "name": "no such tool" }), -32602, "Unknown tool: no such tool"),
    ] {
        let answer = send(session, method, params).await?.success()?;
        let error = json!({ "code": code, "message": message });
        same(&answer, &json!({ "jsonrpc": "2.0", "id": 1, "error": error }))?;
    }
    Ok(())
}

async fn there_is_no_stream_of_the_servers(session: &Session) -> Result<()> {
    let answer = session.send(&Request::to("get_mcp")?).await?;
    ensure!(answer.status == 405 && answer.body.is_empty(), "{}", answer.describe());
    Ok(())
}

async fn session_that_has_no_name_is_none(session: &Session) -> Result<()> {
    let answer = session.send(&Request::to("delete_mcp")?).await?;
    ensure!(answer.status == 404 && answer.body.is_empty(), "{}", answer.describe());
    Ok(())
}
