"""An app whose user signs in by a browser: authorization code with PKCE by Authlib, at loopback (RFC 8252).

    oauth_client.py ISSUER CA CLIENT_ID

Prints where the browser is to go, waits for what it brings back, and gets tokens by it. What it finds is told in lines of JSON.
"""

import http.server
import queue
import sys
import threading
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt
from joserfc.jwk import KeySet
from slixmpp_words import tell


class Listener(http.server.BaseHTTPRequestHandler):
    """Where the app waits for the browser."""

    def do_GET(self):
        if urlsplit(self.path).path == "/signed-in":
            self.server.brought.put(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"You may close this page.")

    def log_message(self, *arguments):
        pass


def brought(listener):
    return f"http://127.0.0.1:{listener.server_port}{listener.brought.get()}"


def main(issuer, ca, client_id):
    at = f"{issuer}/.well-known/oauth-authorization-server"
    metadata = AuthorizationServerMetadata(requests.get(at, verify=ca, timeout=10).json())
    metadata.validate()
    assert metadata["issuer"] == issuer, metadata
    # A browser may open connections that it does not use.
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    listener.brought = queue.Queue()
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    redirect = f"http://127.0.0.1:{listener.server_port}/signed-in"
    session = OAuth2Session(
        client_id,
        redirect_uri=redirect,
        token_endpoint_auth_method="none",
        code_challenge_method="S256",
    )
    session.verify = ca
    # What the environment says of CAs would go first.
    session.trust_env = False
    verifier = generate_token(64)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier
    )
    tell("go", url=url)
    answer = brought(listener)
    said = parse_qs(urlsplit(answer).query)
    # A mix-up of servers is seen by this (RFC 9207).
    assert said["iss"] == [issuer], said
    if "error" in said:
        tell("not_signed_in", error=said["error"][0], state=said["state"] == [state])
        # The browser has its page.
        sys.stdin.read()
        return
    endpoint = metadata["token_endpoint"]

    def fetched(verifier, state):
        return session.fetch_token(
            endpoint, authorization_response=answer, code_verifier=verifier, state=state
        )

    def refused(verifier):
        try:
            fetched(verifier, state)
        except Exception as error:
            return str(getattr(error, "error", error))
        return "nothing"

    tell("another_verifier", error=refused(generate_token(64)))
    token = fetched(verifier, state)
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], verify=ca, timeout=10).json())
    claims = jwt.decode(token["access_token"], keys, algorithms=["EdDSA", "Ed25519"]).claims
    tell("tokens", sub=claims["sub"])
    token = session.refresh_token(endpoint, refresh_token=token["refresh_token"])
    tell("refreshed", sub=jwt.decode(token["access_token"], keys, algorithms=["EdDSA", "Ed25519"]).claims["sub"])
    # Somebody else has the code, too: nobody knows who is who, and all that followed on it ends.
    tell("again", error=refused(verifier))
    try:
        session.refresh_token(endpoint, refresh_token=token["refresh_token"])
        tell("ended", error="nothing")
    except Exception as error:
        tell("ended", error=str(getattr(error, "error", error)))


main(*sys.argv[1:])
