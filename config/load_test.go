package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

// write puts a file into a fresh directory and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	yml := write(t, "synap.yml", "server:\n  port: 1001\n  timeout: 1\n  databases: 3\nslowlog: {max_len: 4}\n")
	c, src, err := Load([]string{yml, "--port", "1003"}, []string{"SYNAP_PORT=1002", "SYNAP_TIMEOUT=2", "HOME=/"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 1003 || c.Timeout != 2 || c.Databases != 3 || c.SlowlogMaxLen != 4 || c.MaxClients != 10000 {
		t.Errorf("port %d, timeout %d, databases %d, slowlog %d, maxclients %d", c.Port, c.Timeout, c.Databases, c.SlowlogMaxLen, c.MaxClients)
	}
	if len(src.Warnings) != 0 {
		t.Error(src.Warnings)
	}
}

func TestFlags(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want map[string]string
	}{
		{[]string{"--port=7", "--save", "", "--requirepass=", "--appendonly", "no"}, map[string]string{"port": "7", "save": "", "requirepass": ""}},
		{[]string{"--slowlog-log-slower-than", "-1"}, map[string]string{"slowlog-log-slower-than": "-1"}},
		{[]string{"--requirepass", "--port"}, map[string]string{"requirepass": "--port", "port": "6379"}},
		{[]string{"--requirepass=a=b"}, map[string]string{"requirepass": "a=b"}},
		{[]string{"--bind", "127.0.0.1", "-::1", "--port", "8"}, map[string]string{"bind": "127.0.0.1 -::1", "port": "8"}},
		{[]string{"--BIND=::1", "--Port", "9", "--port", "10"}, map[string]string{"bind": "::1", "port": "10"}},
		{[]string{"--client-output-buffer-limit", "pubsub", "1mb", "0", "0", "--client-output-buffer-limit=normal 0 0 0"},
			map[string]string{"client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 0 0"}},
		{[]string{"--maxmemory-clients", "10%", "--proto-max-bulk-len", "1GB"}, map[string]string{"maxmemory-clients": "10%", "proto-max-bulk-len": "1073741824"}},
		{[]string{"--maxmemory", "3k", "--client-query-buffer-limit", "2m"}, map[string]string{"maxmemory": "3000", "client-query-buffer-limit": "2000000"}},
		{[]string{"--hz", "5000"}, map[string]string{"hz": "500"}},
		{[]string{"--rate-limit-exempt", "10.1.2.3/8", "::1"}, map[string]string{"rate-limit-exempt": "10.0.0.0/8 ::1/128"}},
		{[]string{"--rate-limit-exempt", "::ffff:198.51.100.0/120", "::ffff:192.0.2.7"}, map[string]string{"rate-limit-exempt": "198.51.100.0/24 192.0.2.7/32"}},
		{[]string{"--latency-tracking-info-percentiles", ""}, map[string]string{"latency-tracking-info-percentiles": ""}},
	} {
		c, _, err := Load(tc.args, nil)
		if err != nil {
			t.Errorf("%q: %v", tc.args, err)
			continue
		}
		for name, want := range tc.want {
			if got := c.Get(nil, name); len(got) != 1 || got[0][1] != want {
				t.Errorf("%q: %s is %q, want %q", tc.args, name, got, want)
			}
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--prot", "1"}, `unknown option --prot; did you mean "port"?`},
		{[]string{"--xyzzyx", "1"}, "unknown option --xyzzyx"},
		{[]string{"--port"}, "--port needs a value; allowed: 0 to 65535"},
		{[]string{"--port", "1", "synap.yml"}, `unexpected argument "synap.yml": a configuration file stands first, everything else is --name value`},
		{[]string{"-p", "1"}, `unexpected argument "-p": a configuration file stands first, everything else is --name value`},
		{[]string{""}, `unexpected argument "": a configuration file stands first, everything else is --name value`},
		{[]string{"--"}, "unknown option --"},
		{[]string{"--=1"}, "unknown option --"},
	} {
		_, _, err := Load(tc.args, nil)
		var usage UsageError
		if !errors.As(err, &usage) || err.Error() != tc.want {
			t.Errorf("%q: %v, want %s", tc.args, err, tc.want)
		}
	}
}

func TestActions(t *testing.T) {
	for arg, want := range map[string]Action{"-h": ShowHelp, "--help": ShowHelp, "-v": ShowVersion, "--version": ShowVersion,
		"--print-config": PrintConfig, "--check-config": CheckConfig, "--health-check": HealthCheck, "--print-commands": PrintCommands} {
		_, src, err := Load([]string{"--port", "1", arg}, nil)
		if err != nil || src.Action != want {
			t.Errorf("%s: action %d, %v", arg, src.Action, err)
		}
	}
	for flag, want := range map[string]Action{"--check-aof": CheckAOF, "--check-rdb": CheckRDB} {
		_, src, err := Load([]string{flag, "somewhere", "--databases", "3"}, nil)
		if err != nil || src.Action != want || src.CheckPath != "somewhere" || src.Fix {
			t.Errorf("%s: %+v, %v", flag, src, err)
		}
	}
	if _, src, err := Load([]string{"--fix", "--check-aof", "somewhere"}, nil); err != nil || !src.Fix {
		t.Error(src, err)
	}
	var usage UsageError
	for _, args := range [][]string{{"--check-aof"}, {"--check-rdb", "--fix"}, {"--fix"}, {"--check-rdb", "x", "--fix"}} {
		if _, _, err := Load(args, nil); !errors.As(err, &usage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	// Help is given even where nothing else is right.
	if _, src, err := Load([]string{"nowhere.conf", "--help"}, nil); err != nil || src.Action != ShowHelp {
		t.Error(src.Action, err)
	}
}

func TestValueErrors(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"port", "70000", "argument must be between 0 and 65535 inclusive"},
		{"port", "99999999999999999999", "argument couldn't be parsed into an integer"},
		{"port", "", "argument couldn't be parsed into an integer"},
		{"port", " 1", "argument couldn't be parsed into an integer"},
		{"port", "+1", "argument couldn't be parsed into an integer"},
		{"port", "1.0", "argument couldn't be parsed into an integer"},
		{"maxmemory", "-1", "argument must be a memory value"},
		{"maxmemory", "", "argument must be a memory value"},
		{"maxmemory", "1.5gb", "argument must be a memory value"},
		{"maxmemory", "1gbb", "argument must be a memory value"},
		{"maxmemory", "9999999999gb", "argument must be a memory value"},
		{"maxmemory", "101%", "percentage argument must be less or equal to 100"},
		{"maxmemory-clients", "200%", "percentage argument must be less or equal to 100"},
		{"maxmemory-clients", "1x", "argument must be a memory or percent value"},
		{"client-query-buffer-limit", "1", "argument must be between 1048576 and 9223372036854775807 inclusive"},
		{"protected-mode", "true", "argument must be 'yes' or 'no'"},
		{"loglevel", "loud", "argument(s) must be one of the following: debug, verbose, notice, warning"},
		{"client-output-buffer-limit", "normal 1 2", "Wrong number of arguments in buffer limit configuration."},
		{"client-output-buffer-limit", "foo 1 2 3", "Invalid client class specified in buffer limit configuration."},
		{"client-output-buffer-limit", "normal 1 2 x", "Error in hard, soft or soft_seconds setting in buffer limit configuration."},
		{"latency-tracking-info-percentiles", "101", "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"},
		{"latency-tracking-info-percentiles", "NaN", "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"},
		{"latency-tracking-info-percentiles", "x", "Invalid latency-tracking-info-percentiles parameters"},
		{"unixsocketperm", "999", "argument must be an octal file mode between 0 and 777"},
		{"rate-limit-requests-per-second", "inf", "argument must be a number between 0 and 1000000000 inclusive"},
		{"rate-limit-requests-per-second", "nan", "argument must be a number between 0 and 1000000000 inclusive"},
		{"rate-limit-exempt", "10.0.0.0/33", "argument must be a list of addresses or CIDR ranges, and '10.0.0.0/33' is neither"},
		{"rate-limit-exempt", "fe80::1%eth0", "argument must be a list of addresses or CIDR ranges, and 'fe80::1%eth0' is neither"},
		{"tracing-endpoint", "127.0.0.1:4318", "argument must be empty or an http or https URL of host, port and path"},
		{"tracing-endpoint", "ftp://127.0.0.1", "argument must be empty or an http or https URL of host, port and path"},
		{"tracing-endpoint", "http://", "argument must be empty or an http or https URL of host, port and path"},
		{"tracing-endpoint", "https://me:secret@collector:4318", "argument must be empty or an http or https URL of host, port and path"},
		{"tracing-endpoint", "http://collector?token=secret", "argument must be empty or an http or https URL of host, port and path"},
		{"tracing-sample-ratio", "1.01", "argument must be a number between 0 and 1 inclusive"},
		{"tracing-sample-ratio", "-0.1", "argument must be a number between 0 and 1 inclusive"},
		{"tracing-service-name", "", "argument must not be empty"},
		{"tracing-queue-size", "0", "argument must be between 1 and 1048576 inclusive"},
		{"rate-limit-error-prefix", "try again", "argument must be one word of up to 32 capital letters"},
		{"rate-limit-error-prefix", "", "argument must be one word of up to 32 capital letters"},
		{"shards", "3", "argument must be 0 or a power of two up to 4096"},
		{"dir", "", "argument must not be empty"},
		{"metrics-system-interval", "0", "argument must be between 1 and 3600 inclusive"},
		{"appendonly", "maybe", "argument must be 'yes' or 'no'"},
		{"save", "900", "Invalid save parameters"},
		{"dbfilename", "a/b", "argument must be a file name without a path"},
		// Options that do not fit together.
		{"port", "0", "argument must not be 0 without tls-port or unixsocket: there would be nothing to listen on"},
		{"bind", "", "argument must name an address while port or tls-port is not 0"},
		{"tls-port", "6379", "argument must differ from port"},
	} {
		_, _, err := Load([]string{"--" + tc.name, tc.value}, nil)
		var value *ValueError
		if !errors.As(err, &value) || value.Reason.Error() != tc.want || value.Origin != "--"+tc.name || value.Option.Name != tc.name {
			t.Errorf("%s %q: %v, want %s", tc.name, tc.value, err, tc.want)
		}
	}
	if _, _, err := Load([]string{"--databases", "1024", "--shards", "512"}, nil); err == nil ||
		!strings.Contains(err.Error(), `--shards "512": argument times databases must not exceed 262144`) {
		t.Error(err)
	}
	if _, _, err := Load([]string{"--tls-port", "7000"}, nil); err == nil || err.Error() != `default: tls-cert-file "": argument must name a file while tls-port is not 0; allowed: path` {
		t.Error(err)
	}
	if _, _, err := Load([]string{"--rate-limit-enabled", "yes", "--rate-limit-burst-size", "0"}, nil); err == nil ||
		!strings.Contains(err.Error(), "--rate-limit-burst-size \"0\": argument must be above 0 while rate-limit-enabled is yes") {
		t.Error(err)
	}
}

func TestEnvironment(t *testing.T) {
	c, src, err := Load(nil, []string{"SYNAP_RATE_LIMIT_BURST_SIZE=7", "SYNAP_REQUIREPASS=a=b", "SYNAP_SAVE=", "SYNAP_NOSUCH=1",
		// What Kubernetes sets for a service named synap.
		"SYNAP_PORT=tcp://10.0.0.1:6379", "SYNAP_SERVICE_HOST=10.0.0.1", "SYNAP_PORT_6379_TCP_ADDR=10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if c.RateLimit.BurstSize != 7 || c.RequirePass != "a=b" || c.Port != 6379 {
		t.Errorf("%d %q %d", c.RateLimit.BurstSize, c.RequirePass, c.Port)
	}
	if len(src.Warnings) != 1 || !strings.Contains(src.Warnings[0], "SYNAP_NOSUCH") {
		t.Error(src.Warnings)
	}
	_, _, err = Load(nil, []string{"SYNAP_PORT=x"})
	if err == nil || err.Error() != `SYNAP_PORT "x": argument couldn't be parsed into an integer; allowed: 0 to 65535` {
		t.Error(err)
	}
}

func TestYAML(t *testing.T) {
	path := write(t, "a.yaml", `
loops: 2
server: # the usual
  port: 7000
  bind: [127.0.0.1, "-::1"]
  protected_mode: false
  requirepass: "0123"
  unixsocketperm: "0700"
  dir:
log:
memory.maxmemory: 1gb
client:
  output_buffer_limit:
    - normal 0 0 0
    - pubsub 1mb 0 0
latency:
  tracking_info_percentiles: [50, 99.9]
rate_limit:
  enabled: true
  requests_per_second: 2.5
  exempt: ["127.0.0.0/8"]
`)
	c, _, err := Load([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"loops": "2", "port": "7000", "bind": "127.0.0.1 -::1", "protected-mode": "no", "requirepass": "0123", "unixsocketperm": "700",
		"dir": Default().Dir, "maxmemory": "1073741824", "client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 0 0",
		"latency-tracking-info-percentiles": "50 99.9", "rate-limit-enabled": "yes", "rate-limit-requests-per-second": "2.5", "rate-limit-exempt": "127.0.0.0/8",
	} {
		if got := c.Get(nil, name); got[0][1] != want {
			t.Errorf("%s is %q, want %q", name, got[0][1], want)
		}
	}
}

func TestYAMLErrors(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"server:\n  port: 70000\n", `:2: port "70000": argument must be between 0 and 65535 inclusive; allowed: 0 to 65535`},
		{"server:\n  timeout: 1\n\n  prot: 1\n", `:4: unknown option "server.prot"; did you mean "server.port"?`},
		{"port: 1\n", `:1: unknown option "port"`},
		{"server: 1\n", `:1: unknown option "server"`},
		{"server:\n  port: [1, 2]\n", `:2: port "[1 2]": argument must be one value, not a list; allowed: 0 to 65535`},
		{"server:\n  port: {a: 1}\n", `unknown option "server.port.a"`},
		{"server:\n  requirepass: 0123\n", `:2: requirepass "83": argument must stand in quotes; allowed: text`},
		{"server:\n  port: 1\n  port: 2\n", "already"},
		{"server:\n\tport: 1\n", "line 2"},
		{"- a\n- b\n", "cannot unmarshal"},
		{"persistence:\n  appendonly: maybe\n", `:2: appendonly "maybe": argument must be 'yes' or 'no'`},
		{"rate_limit:\n  enabled: true\n  burst_size: 0\n", ":3: rate-limit-burst-size \"0\": argument must be above 0 while rate-limit-enabled is yes"},
	} {
		path := write(t, "synap.yml", tc.text)
		_, _, err := Load([]string{path}, nil)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%q: %v, want %s", tc.text, err, tc.want)
		}
	}
}

func TestRedisConf(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"more.conf": "timeout 5\nhz 50\n", "d1.inc": "tcp-keepalive 1\n", "d2.inc": "tcp-keepalive 2\n",
		"redis.conf": "# a comment\n\n  PORT 7000\r\nrequirepass \"a\\x20b\\n\\\"\" \nlogfile 'it\\'s'\nsave \"\"\n" +
			"client-output-buffer-limit normal 0 0 0\nclient-output-buffer-limit replica 1gb 1g 10\nbind 127.0.0.1 ::1\nmaxmemory 100mb\n" +
			"daemonize yes\nhz 20\ninclude more.conf\ninclude *.inc\nunixsocket \"\"",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, src, err := Load([]string{"redis.conf"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"port": "7000", "requirepass": "a b\n\"", "logfile": "it's", "bind": "127.0.0.1 ::1", "maxmemory": "104857600", "timeout": "5",
		"hz": "50", "tcp-keepalive": "2", "client-output-buffer-limit": "normal 0 0 0 slave 1073741824 1000000000 10 pubsub 33554432 8388608 60",
	} {
		if got := c.Get(nil, name); got[0][1] != want {
			t.Errorf("%s is %q, want %q", name, got[0][1], want)
		}
	}
	if want := []string{src.Path + `:11: unknown directive "daemonize" is ignored`}; !reflect.DeepEqual(src.Warnings, want) {
		t.Errorf("%q, want %q", src.Warnings, want)
	}
}

func TestRedisConfErrors(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, tc := range []struct{ text, want string }{
		{"timeout abc\n", `redis.conf:1: timeout "abc": argument couldn't be parsed into an integer; allowed: 0 to 2147483647`},
		{"# x\ntimeout 1 2\n", `redis.conf:2: timeout "1 2": wrong number of arguments; allowed: 0 to 2147483647`},
		{"timeout\n", `redis.conf:1: timeout "": wrong number of arguments`},
		{"bind\n", `redis.conf:1: bind "": wrong number of arguments`},
		{"requirepass \"abc\n", "redis.conf:1: unbalanced quotes"},
		{"requirepass \"abc\"d\n", "redis.conf:1: unbalanced quotes"},
		{"save 900\n", `redis.conf:1: save "900": Invalid save parameters`},
		{"include redis.conf\n", "redis.conf:1: include: files are nested deeper than 16"},
		{"include nowhere\n", "redis.conf:1: include: open "},
		{"include\n", "redis.conf:1: include: wrong number of arguments"},
		{"include [\n", "redis.conf:1: include: syntax error in pattern"},
		{"include " + strings.Repeat("x", 5) + "?\ntimeout -1\n", `redis.conf:2: timeout "-1"`},
	} {
		if err := os.WriteFile("redis.conf", []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load([]string{"redis.conf"}, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %s", tc.text, err, tc.want)
		}
	}
	if _, _, err := Load([]string{"nowhere.conf"}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile("huge.conf", make([]byte, maxFileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load([]string{"huge.conf"}, nil); err == nil || !strings.Contains(err.Error(), "is larger than 1mb") {
		t.Error(err)
	}
}

// --print-config must load back to the same Config.
func TestPrintedConfigLoadsBack(t *testing.T) {
	odd := busy(t)
	next, err := odd.With([][2]string{{"requirepass", "\xff\x00 no UTF-8: #"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Config{"defaults": Default(), "busy": odd, "binary": next} {
		got, _, err := Load([]string{write(t, "synap.yml", c.YAML())}, nil)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, c.YAML())
		} else if !reflect.DeepEqual(got, c) {
			t.Errorf("%s: differs:\n%s\n%s", name, c.YAML(), got.YAML())
		}
	}
	got, src, err := Load([]string{write(t, "synap.yml", Example())}, nil)
	if err != nil || !reflect.DeepEqual(got, Default()) || len(src.Warnings) > 0 {
		t.Errorf("the example is not the defaults: %v %v", err, src.Warnings)
	}
}

func TestGet(t *testing.T) {
	c := Default()
	prefix := func(p, name string) bool { return strings.HasPrefix(name, strings.TrimSuffix(p, "*")) }
	for _, tc := range []struct{ patterns, want string }{
		{"port", "port"}, {"PORT port", "PORT"}, {"nosuch", ""}, {"SLOWLOG*", "slowlog-log-slower-than slowlog-max-len"}, {"hz lfu* hz", "lfu-log-factor lfu-decay-time hz"},
	} {
		var names []string
		for _, p := range c.Get(prefix, strings.Fields(tc.patterns)...) {
			names = append(names, p[0])
		}
		if got := strings.Join(names, " "); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.patterns, got, tc.want)
		}
	}
}

func TestWith(t *testing.T) {
	c := Default()
	for _, tc := range []struct {
		pairs string
		want  string
	}{
		{"nosuch 1", "Unknown option or number of arguments for CONFIG SET - 'nosuch'"},
		{"databases 4", "CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config"},
		{"dir /", "CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"},
		{"timeout 1 timeout 2", "CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter"},
		{"timeout 5 hz abc", "CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed into an integer"},
		{"timeout 5 nosuch abc", "Unknown option or number of arguments for CONFIG SET - 'nosuch'"},
		{"rate-limit-enabled yes rate-limit-burst-size 0", "CONFIG SET failed (possibly related to argument 'rate-limit-burst-size') - argument must be above 0 while rate-limit-enabled is yes"},
	} {
		f := strings.Fields(tc.pairs)
		var pairs [][2]string
		for i := 0; i < len(f); i += 2 {
			pairs = append(pairs, [2]string{f[i], f[i+1]})
		}
		if next, err := c.With(pairs, false); next != nil || err == nil || err.Error() != tc.want {
			t.Errorf("%s: %v, want %s", tc.pairs, err, tc.want)
		}
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Error("a refused change has changed the Config")
	}
	next, err := c.With([][2]string{{"Timeout", "5"}, {"client-output-buffer-limit", "pubsub 1 2 3"}}, false)
	if err != nil || next.Timeout != 5 || next.OutputLimits[ClassPubSub] != (OutputLimit{1, 2, 3}) || next.OutputLimits[ClassNormal] != c.OutputLimits[ClassNormal] {
		t.Error(next, err)
	}
	if c.Timeout != 0 || c.OutputLimits[ClassPubSub].Hard == 1 {
		t.Error("the old Config has changed")
	}
	if next, err = c.With([][2]string{{"dir", "/"}}, true); err != nil || next.Dir != "/" {
		t.Error(err)
	}
}

func TestReload(t *testing.T) {
	path := write(t, "synap.yml", "server:\n  timeout: 1\n  port: 7000\n")
	c, src, err := Load([]string{path, "--hz", "30"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("server:\n  timeout: 2\n  port: 7001\n  hz: 99\nmemory:\n  maxmemory: 1gb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	next, ignored, err := src.Reload(c)
	if err != nil || next.Timeout != 2 || next.Port != 7000 || next.Hz != 30 || next.MaxMemory != 1<<30 || !reflect.DeepEqual(ignored, []string{"port"}) {
		t.Errorf("%v %v %v", next, ignored, err)
	}
	if err := os.WriteFile(path, []byte("server:\n  timeout: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := src.Reload(c); err == nil || !strings.Contains(err.Error(), ":2: timeout") {
		t.Error(err)
	}
}

func TestClientsMemory(t *testing.T) {
	for _, tc := range []struct {
		maxmemory, clients string
		want               int64
	}{{"1000000", "25%", 250000}, {"1000000", "0", 0}, {"1000000", "5mb", 5 << 20}, {"0", "50%", Default().MemoryAllowed / 100 * 50}, {"1000000", "0%", 0}} {
		c, err := Default().With([][2]string{{"maxmemory", tc.maxmemory}, {"maxmemory-clients", tc.clients}}, false)
		if err != nil || c.ClientsMemory() != tc.want {
			t.Errorf("%+v: %d, %v", tc, c.ClientsMemory(), err)
		}
	}
}

func TestLinuxMemory(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"host":         {map[string]string{"proc/meminfo": "MemTotal:       2048 kB\nMemFree: 1 kB\n"}, 2 << 20},
		"unknown":      {nil, 0},
		"v2":           {map[string]string{"proc/meminfo": "MemTotal: 2048 kB\n", "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1000000\n"}, 1000000},
		"v2 container": {map[string]string{"proc/meminfo": "MemTotal: 2048 kB\n", "proc/self/cgroup": "0::/../x\n", "sys/fs/cgroup/memory.max": "5000\n"}, 5000},
		"v2 larger":    {map[string]string{"proc/meminfo": "MemTotal: 1 kB\n", "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "5000\n"}, 1024},
		"v1":           {map[string]string{"proc/meminfo": "MemTotal: 2048 kB\n", "proc/self/cgroup": "3:cpu,memory:/d\n2:memoryx:/\n", "sys/fs/cgroup/memory/d/memory.limit_in_bytes": "7000\n"}, 7000},
		"v1 none":      {map[string]string{"proc/meminfo": "MemTotal: 2048 kB\n", "proc/self/cgroup": "3:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 2 << 20},
	} {
		root := fstest.MapFS{}
		for f, text := range tc.files {
			root[f] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := linuxMemory(root); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}
