-- What a phone needs of a server, as Reveille has it: archive, stream management, copies for other clients, client state, push.
-- No rates are limited. Storage is what Prosody comes with: files.
run_as_root = true
daemonize = false
pidfile = "@FOLDER@/prosody.pid"
data_path = "@FOLDER@/data"
admin_socket = "@FOLDER@/prosody.sock"
network_backend = "epoll"
modules_enabled = {
	"disco", "roster", "saslauth", "tls", "blocklist", "carbons", "smacks", "csi", "csi_simple", "ping", "time", "version", "mam", "cloud_notify"
}
modules_disabled = { "s2s" }
authentication = "internal_hashed"
storage = "internal"
archive_expires_after = "never"
default_archive_policy = true
certificates = "@FOLDER@"
c2s_require_encryption = true
interfaces = { "127.0.0.1" }
c2s_ports = { }
c2s_direct_tls_ports = { @PORT@ }
c2s_direct_tls_ssl = { certificate = "@FOLDER@/certificate.pem", key = "@FOLDER@/key.pem" }
ssl = { certificate = "@FOLDER@/certificate.pem", key = "@FOLDER@/key.pem" }
log = { warn = "*console" }
VirtualHost "localhost"
