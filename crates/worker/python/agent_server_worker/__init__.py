"""Runs LangGraph graphs for agent-server.

This package is embedded in the server's binary and started by it inside the user's own Python environment. It needs
nothing but what ``langgraph`` itself brings. Start reading at :mod:`agent_server_worker.main`.
"""
