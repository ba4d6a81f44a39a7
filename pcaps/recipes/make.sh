#!/bin/bash
# Makes the captures of ../README.md again, all of them or those named:
#
#   sudo pcaps/recipes/make.sh [CASE...]          # OUT=DIR writes elsewhere, LIST=1 only lists
#
# Real software on the loopback of a private network namespace: nothing reaches this machine's own network and no
# address but 127.0.0.1 and ::1 occurs. Needs root, and on Debian 12: nginx-light haproxy tcpdump iproute2 openssl
# nodejs npm (ws is fetched from npm into a temporary directory). Ports, times and keys differ from run to run, what
# the captures show does not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$(dirname "$here")}

# --- what a case is made of ---------------------------------------------------------------------------------------

forward='proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;'

start() { "$@" > "$tmp/log.$((++logs))" 2>&1 & pids+=($!); }                    # a background process of this case
listening() { for _ in $(seq 100); do ss -Hltn | grep -q ":$1 " && return; sleep 0.05; done; echo "nothing listens on $1" >&2; return 1; }

serve() { start node "$here/peer.js" serve "$1"; server=${pids[-1]}; listening "${PORT:-9000}"; }
call() { timeout 30 node "$here/peer.js" call "$1" > "$tmp/log.$((++logs))" 2>&1 || true; }

# nginx 'LOCATION BODY' [LISTEN [SERVER LINES]]: one server, one location for everything
nginx_() {
  local dir="$tmp/nginx.$((++logs))" listen=${2:-8080}; mkdir -p "$dir/www"; echo '<!doctype html><title>app</title>' > "$dir/www/index.html"
  cat > "$dir/nginx.conf" <<CONF
user root; worker_processes 1; pid $dir/pid; error_log $dir/error.log info;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path $dir/b; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
  map \$http_upgrade \$connection_upgrade { default upgrade; '' close; }
  server { listen $listen; root $dir/www; ${3:-} location / { $1 } }
}
CONF
  start nginx -c "$dir/nginx.conf" -p "$dir" -g 'daemon off;'; listening "$(sed 's/.*://; s/ .*//' <<< "$listen")"
}

# haproxy_ BACKEND PORT [EXTRA DEFAULTS [BIND OPTIONS]]
haproxy_() {
  printf 'defaults\n mode http\n timeout connect 2s\n timeout client 20s\n timeout server 20s\n %s\nfrontend f\n bind :8080 %s\n default_backend b\nbackend b\n server s1 127.0.0.1:%s\n' "${2:-}" "${3:-}" "$1" > "$tmp/haproxy.cfg"
  start haproxy -db -f "$tmp/haproxy.cfg"; listening 8080
}

# capture [TCPDUMP ARGUMENTS]: from here on; done_ ends it
capture() {
  tcpdump -Z root -n -U --immediate-mode -B 32768 -s 66000 -w "$file" -i "${IFACE:-lo}" "$@" 2> "$tmp/tcpdump" & dump=$!
  for _ in $(seq 100); do grep -q 'listening on' "$tmp/tcpdump" && break; sleep 0.05; done
  sleep 0.1
}
done_() { [ -z "$dump" ] && return; sleep 0.4; kill -INT "$dump"; wait "$dump" || true; dump=; }

# --- the cases ----------------------------------------------------------------------------------------------------

case_nginx_healthy() { serve echo; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call talk; }
case_nginx_upgrade_stripped() { serve echo; nginx_ 'proxy_pass http://127.0.0.1:9000;'; capture; call talk; }
case_nginx_connection_close() { serve echo; nginx_ 'proxy_pass http://127.0.0.1:9000; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;'; capture; call talk; }
case_nginx_http10_works() { serve echo; nginx_ 'proxy_pass http://127.0.0.1:9000; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;'; capture; call talk; }
case_nginx_path_rewritten() { serve path; nginx_ "proxy_pass http://127.0.0.1:9000/app/; $forward"; capture; URL=ws://127.0.0.1:8080/chat call talk; }
case_nginx_page_instead() { nginx_ 'try_files $uri /index.html;'; capture; call talk; }
case_nginx_upstream_refused() { nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call talk; }
case_nginx_upstream_silent() { serve silent; nginx_ "proxy_pass http://127.0.0.1:9000; $forward proxy_read_timeout 2s;"; capture; call talk; }
case_nginx_upstream_drops() { serve drops; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call talk; }
case_nginx_idle_timeout() { serve echo; nginx_ "proxy_pass http://127.0.0.1:9000; $forward proxy_read_timeout 2s;"; capture; call three; }
case_haproxy_idle_timeout() { serve echo; haproxy_ 9000 'timeout tunnel 2s'; capture; call stay; }
case_haproxy_nginx_stripped() { serve echo; nginx_ 'proxy_pass http://127.0.0.1:9000;' 8081; haproxy_ 8081; capture; call talk; }
ask='location = /leave { internal; proxy_pass http://127.0.0.1:9100/verify; proxy_pass_request_body off; proxy_set_header Content-Length ""; }'
case_nginx_auth_request() { serve echo; nginx_ 'return 204;' 9100; nginx_ "auth_request /leave; proxy_pass http://127.0.0.1:9000; $forward" 8080 "$ask"; capture; call talk; }
case_nginx_auth_request_refused() { serve echo; nginx_ 'return 401 "log in first\n";' 9100; nginx_ "auth_request /leave; proxy_pass http://127.0.0.1:9000; $forward" 8080 "$ask"; capture; call talk; }
case_nginx_extension_answer_stripped() { serve deflate; nginx_ "proxy_pass http://127.0.0.1:9000; $forward proxy_hide_header Sec-WebSocket-Extensions;"; capture; call no-deflate-answer; }
case_wrong_accept() { serve wrong-accept; capture; URL=ws://127.0.0.1:9000/ws call talk; }
case_subprotocol_missing() { serve no-subprotocol; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call subprotocol; }
case_fragments_both_ways() { serve fragments; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call fragments; }
case_deflate() { serve deflate; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call deflate; }
case_two_sessions() { serve echo; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call two; }
case_message_too_big() { serve small; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call big; }
case_unmasked_frame() { serve echo; capture; TO=9000 call unmasked; }
case_ping_unanswered() { serve heartbeat; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call no-pong; }
case_backend_killed() { serve echo; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; capture; call busy & c=$!; sleep 1.2; kill -9 "$server"; wait "$server" 2> /dev/null || true; wait $c; }
case_wss_to_plain_port() { nginx_ 'return 204;'; capture; URL=wss://127.0.0.1:8080/ws call insecure; }
case_wss_with_keys() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=app.example -keyout "$tmp/key" -out "$tmp/cert" 2> /dev/null
  serve echo; nginx_ "proxy_pass http://127.0.0.1:9000; $forward" '8443 ssl' "ssl_protocols TLSv1.3; ssl_certificate $tmp/cert; ssl_certificate_key $tmp/key;"; capture
  rm -f "${file%.pcap}.keys"; NODE_OPTIONS="--tls-keylog=${file%.pcap}.keys" URL=wss://127.0.0.1:8443/ws call insecure
}
case_wss_upstream_refused() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=app.example -keyout "$tmp/key" -out "$tmp/cert" 2> /dev/null
  nginx_ "proxy_pass http://127.0.0.1:9000; $forward" '8443 ssl' "ssl_certificate $tmp/cert; ssl_certificate_key $tmp/key;"; capture; URL=wss://127.0.0.1:8443/ws call insecure
}
case_h2_haproxy() { serve echo; haproxy_ 9000 '' 'proto h2'; capture; timeout 30 node "$here/h2.js" http://127.0.0.1:8080 /page.html /chat /feed; }
case_h2_tls_haproxy() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=app.example -keyout "$tmp/pem" -out "$tmp/cert" 2> /dev/null
  cat "$tmp/cert" >> "$tmp/pem"; serve echo; haproxy_ 9000 '' "ssl crt $tmp/pem alpn h2"; capture
  rm -f "${file%.pcap}.keys"; NODE_OPTIONS="--tls-keylog=${file%.pcap}.keys" timeout 30 node "$here/h2.js" https://127.0.0.1:8080 /chat
}
case_h2_connect_refused() { nginx_ 'return 204;' '8080 http2'; capture; timeout 30 node "$here/h2.js" http://127.0.0.1:8080 /chat || true; }
case_mid_stream() { serve echo; nginx_ "proxy_pass http://127.0.0.1:9000; $forward"; call busy & c=$!; sleep 1; capture; sleep 1; done_; kill "$c" 2> /dev/null || true; }
case_capture_loss() { serve echo; capture; URL=ws://127.0.0.1:9000/ws call eight; done_; node "$here/peer.js" drop "$file" 8,15; }
case_snaplen_96() { serve echo; capture -s 96; URL=ws://127.0.0.1:9000/ws call talk; }
case_any_ipv6() { serve echo; nginx_ "proxy_pass http://127.0.0.1:9000; $forward" '[::]:8080'; IFACE=any capture; URL=ws://[::1]:8080/ws call talk; }

# --- running them -------------------------------------------------------------------------------------------------

cases=$(declare -F | sed -n 's/^declare -f case_//p')
if [ "${LIST:-}" ]; then echo "$cases"; exit; fi

if [ "${INSIDE:-}" ]; then                                 # one case, in its own namespace
  tmp=$(mktemp -d); chmod 755 "$tmp"; logs=0; pids=(); dump=; server=
  trap 'for p in "${pids[@]}"; do kill -TERM "$p" 2> /dev/null || true; done; wait 2> /dev/null || true; rm -rf "$tmp"' EXIT
  ip link set lo up
  file="$out/$(tr _ - <<< "$1").pcap"
  "case_$1"; done_
  echo "$(basename "$file") $(stat -c %s "$file") bytes"
  exit
fi

[ "$(id -u)" = 0 ] || { echo "make.sh: needs root (it makes a network namespace and captures in it)" >&2; exit 2; }
modules=$(mktemp -d); trap 'rm -rf "$modules"' EXIT
npm install --prefix "$modules" --no-audit --no-fund --silent ws@8.23.0 > /dev/null
for c in ${*:-$cases}; do
  c=$(tr - _ <<< "$c"); grep -qx "$c" <<< "$cases" || { echo "make.sh: no case $c; LIST=1 make.sh lists them" >&2; exit 2; }
  NODE_PATH="$modules/node_modules" INSIDE=1 OUT="$out" unshare --net bash "$here/make.sh" "$c"
done
