"""A SIP user agent on PJSUA2 for the end-to-end tests. It takes commands on standard input, one a line, and prints
one line for each thing that happens. The harness (src/pjsua.rs) is its only user.

    agent.py USER PASSWORD PROXY_URI LOCAL_PORT udp|tcp|tls
"""

import queue
import sys
import threading

import pjsua2 as pj

USER, PASSWORD, PROXY, PORT, TRANSPORT = sys.argv[1:]


def tell(*words):
    # In one write: PJSIP logs into the same pipe from threads of its own.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Call(pj.Call):
    """One call; `agent.calls` keeps it alive as long as PJSIP may call back."""

    def onCallState(self, _):
        info = self.getInfo()
        tell("CALL", info.stateText, info.lastStatusCode, info.lastReason)


class Account(pj.Account):
    def onRegState(self, prm):
        tell("REGISTER", prm.code, prm.reason, "expires", prm.expiration)

    def onInstantMessage(self, prm):
        tell("MESSAGE", prm.fromUri, prm.msgBody)

    def onInstantMessageStatus(self, prm):
        tell("SENT", prm.code, prm.reason)


class Agent:
    def __init__(self):
        self.calls = []
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.logConfig.level = 5
        config.logConfig.consoleLevel = 5
        self.endpoint.libInit(config)
        transport = pj.TransportConfig()
        transport.port = int(PORT)
        transport.boundAddress = "127.0.0.1"
        kind = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}
        self.endpoint.transportCreate(kind[TRANSPORT], transport)
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()

        account = pj.AccountConfig()
        account.idUri = f"sip:{USER}@localhost"
        account.regConfig.registrarUri = "sip:localhost"
        account.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", USER, 0, PASSWORD))
        account.sipConfig.proxies.append(PROXY)
        account.natConfig.sipStunUse = pj.PJSUA_STUN_USE_DISABLED
        self.account = Account()
        self.account.create(account)

    def do(self, line):
        word, _, rest = line.partition(" ")
        if word == "call":
            call = Call(self.account)
            self.calls.append(call)
            call.makeCall(rest, pj.CallOpParam(True))
        elif word == "hangup":
            self.calls[-1].hangup(pj.CallOpParam())
        elif word == "message":
            uri, _, text = rest.partition(" ")
            buddy = pj.BuddyConfig()
            buddy.uri = uri
            peer = pj.Buddy()
            peer.create(self.account, buddy)
            message = pj.SendInstantMessageParam()
            message.content = text
            peer.sendInstantMessage(message)
        else:
            tell("UNKNOWN", line)


def read(lines):
    for line in sys.stdin:
        lines.put(line.strip())
    lines.put("quit")


agent = Agent()
commands = queue.Queue()
threading.Thread(target=read, args=(commands,), daemon=True).start()
while True:
    agent.endpoint.libHandleEvents(20)
    try:
        command = commands.get_nowait()
    except queue.Empty:
        continue
    if command == "quit":
        break
    try:
        agent.do(command)
    except pj.Error as error:
        tell("ERROR", error.info().replace("\n", " "))
agent.calls.clear()
agent.endpoint.libDestroy()
