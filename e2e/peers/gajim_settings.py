"""Writes the settings with which Gajim signs in by itself: one account, its password in the file, and the D-Bus service by
which a test tells it what to write. The harness (src/gajim.rs) is its only user.

    gajim_settings.py FOLDER USER PASSWORD HOST PORT
"""

import json
import sqlite3
import sys

FOLDER, USER, PASSWORD, HOST, PORT = sys.argv[1:]

WORKSPACE = {"name": "Chats", "icon": "", "color": "rgb(191,184,168)", "chats": []}

SETTINGS = {
    "app": {"use_keyring": False, "remote_control": True, "workspace_order": ["chats"]},
    "soundevents": {},
    "status_presets": {},
    "proxies": {},
    "plugins": {},
    "workspaces": {"chats": WORKSPACE},
}

ACCOUNT = {
    "account_label": USER,
    "name": USER,
    "hostname": "localhost",
    "address": f"{USER}@localhost",
    "password": PASSWORD,
    "active": True,
    # Whoever asks to see this user is let.
    "autoauth": True,
    "use_custom_host": True,
    "custom_host": HOST,
    "custom_port": int(PORT),
    "custom_type": "START TLS",
    "resource": "gajim",
}

with sqlite3.connect(f"{FOLDER}/settings.sqlite") as database:
    database.executescript(
        """
        CREATE TABLE settings (name TEXT UNIQUE, settings TEXT);
        CREATE TABLE account_settings (account TEXT UNIQUE, settings TEXT);
        PRAGMA user_version = 5;
        """
    )
    for name, settings in SETTINGS.items():
        database.execute("INSERT INTO settings VALUES (?, ?)", (name, json.dumps(settings)))
    account = {"account": ACCOUNT, "contact": {}, "group_chat": {}}
    database.execute("INSERT INTO account_settings VALUES (?, ?)", (USER, json.dumps(account)))
