package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Action is what the command line asks for.
type Action uint8

// Run starts the server; the others print and end.
const (
	Run Action = iota
	ShowHelp
	ShowVersion
	PrintConfig
	PrintCommands
	CheckConfig
	HealthCheck // ask a running server whether it is alive
	CheckAOF    // read the log at Source.CheckPath
	CheckRDB    // read the snapshot there
)

var actions = map[string]Action{
	"-h": ShowHelp, "--help": ShowHelp, "-v": ShowVersion, "--version": ShowVersion,
	"--print-config": PrintConfig, "--check-config": CheckConfig, "--health-check": HealthCheck,
	"--print-commands": PrintCommands, "--check-aof": CheckAOF, "--check-rdb": CheckRDB,
}

// UsageError is a command line that cannot be understood.
type UsageError string

func (e UsageError) Error() string { return string(e) }

// ValueError is a value that an option does not take.
type ValueError struct {
	Origin string // file and line, flag or environment variable
	Option *Option
	Value  string
	Reason error // in the words of CONFIG SET
}

func (e *ValueError) Error() string {
	where := e.Origin
	if where != "--"+e.Option.Name && where != e.Option.Env() { // these name the option themselves
		where += ": " + e.Option.Name
	}
	return fmt.Sprintf("%s %q: %v; allowed: %s", where, e.Value, e.Reason, e.Option.Allowed())
}

func (e *ValueError) Unwrap() error { return e.Reason }

// Source remembers where a Config came from, so that it can be read again
// (SIGHUP) and written back (CONFIG REWRITE).
type Source struct {
	Action    Action
	CheckPath string   // what CheckAOF or CheckRDB reads
	Fix       bool     // CheckAOF may cut off an unfinished write
	Path      string   // absolute path of the file; empty = none
	Warnings  []string // what was ignored, one line each

	flags, env []setting
	base       *Config // the defaults
}

// Default returns the Config of a server started with no option.
func Default() *Config {
	c := &Config{MemoryAllowed: memoryAllowed()}
	c.launched, _ = os.Getwd() // unknown: relative paths stay relative
	for _, o := range options {
		if err := o.value.set(c, o.Default); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", o.Name, err)) // a test keeps this from happening
		}
	}
	return c
}

// DefaultDir tells whether dir was left at its default.
func (c *Config) DefaultDir() bool { return c.Dir == filepath.Join(c.launched, defaultDir) }

// MakeDir makes dir if that is the default; any other must be there already, as
// a wrong path would start empty.
func (c *Config) MakeDir() error {
	if !c.DefaultDir() {
		return nil
	}
	if err := os.Mkdir(c.Dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Load reads the command line (without the program's name), the environment
// (as os.Environ gives it) and the file that the command line names. Flags win
// over the environment, that over the file, that over the defaults. The error
// is a UsageError, or names file, line, option and what is allowed.
func Load(args, environ []string) (*Config, *Source, error) {
	src := &Source{base: Default()}
	if err := src.readArgs(args); err != nil {
		return nil, src, err
	}
	if src.Action == ShowHelp || src.Action == ShowVersion {
		return src.base, src, nil
	}
	src.readEnviron(environ)
	c, err := src.load()
	return c, src, err
}

// load reads the file anew and builds the Config.
func (src *Source) load() (*Config, error) {
	var file parsed
	if src.Path != "" {
		data, err := readFile(src.Path)
		if err != nil {
			return nil, err
		}
		if file, err = parseFile(src.Path, data, src.base.launched); err != nil {
			return nil, err
		}
		src.Warnings = append(src.Warnings, file.warnings...)
	}
	return build(src.base, file.settings, src.env, src.flags)
}

// parseFile reads data as the format that its name says.
func parseFile(name string, data []byte, dir string) (parsed, error) {
	if isYAML(name) {
		return readYAML(name, data)
	}
	return readConf(name, data, dir)
}

func isYAML(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".yml" || ext == ".yaml"
}

// build applies layers of settings, the weakest first.
func build(base *Config, layers ...[]setting) (*Config, error) {
	c := *base
	origins := map[*Option]string{}
	for _, s := range slices.Concat(layers...) {
		if err := s.option.value.set(&c, s.value); err != nil {
			return nil, &ValueError{Origin: s.origin, Option: s.option, Value: s.value, Reason: err}
		}
		origins[s.option] = s.origin
	}
	if o, err := c.check(); err != nil {
		origin := origins[o]
		if origin == "" {
			origin = "default"
		}
		return nil, &ValueError{Origin: origin, Option: o, Value: o.value.file(&c), Reason: err}
	}
	return &c, nil
}

// maxShards bounds the shards of all databases: each takes memory from the start.
const maxShards = 1 << 18

// check finds options that do not fit together and returns the one to blame.
func (c *Config) check() (*Option, error) {
	blame := func(name, why string) (*Option, error) { return byName[name], reason(why) }
	switch {
	case c.Port == 0 && c.TLSPort == 0 && c.UnixSocket == "":
		return blame("port", "argument must not be 0 without tls-port or unixsocket: there would be nothing to listen on")
	case c.Port != 0 && c.Port == c.TLSPort:
		return blame("tls-port", "argument must differ from port")
	case (c.Port != 0 || c.TLSPort != 0) && len(c.Bind) == 0:
		return blame("bind", "argument must name an address while port or tls-port is not 0")
	case c.TLSPort != 0 && c.TLSCertFile == "":
		return blame("tls-cert-file", "argument must name a file while tls-port is not 0")
	case c.TLSPort != 0 && c.TLSKeyFile == "":
		return blame("tls-key-file", "argument must name a file while tls-port is not 0")
	case c.TLSPort != 0 && c.TLSAuthClients != "no" && c.TLSCACertFile == "":
		return blame("tls-auth-clients", "argument must be 'no' without tls-ca-cert-file")
	case c.Databases*c.Shards > maxShards:
		return blame("shards", fmt.Sprintf("argument times databases must not exceed %d", maxShards))
	case c.NetworkDoor == "loop" && runtime.GOOS != "linux":
		return blame("network-door", "argument must be 'auto' or 'redcon': the event loops need Linux")
	case c.RateLimit.Enabled && c.RateLimit.RequestsPerSecond == 0:
		return blame("rate-limit-requests-per-second", "argument must be above 0 while rate-limit-enabled is yes")
	case c.RateLimit.Enabled && c.RateLimit.BurstSize == 0:
		return blame("rate-limit-burst-size", "argument must be above 0 while rate-limit-enabled is yes")
	}
	return nil, nil
}

// readArgs reads `[file] [--name value | --name=value …]`.
func (src *Source) readArgs(args []string) error {
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return UsageError(err.Error())
		}
		src.Path, args = path, args[1:]
	}
	for len(args) > 0 {
		if a, ok := actions[args[0]]; ok {
			if src.Action != ShowHelp {
				src.Action = a
			}
			args = args[1:]
			if a == CheckAOF || a == CheckRDB {
				if len(args) == 0 || strings.HasPrefix(args[0], "--") {
					return UsageError("--check-aof and --check-rdb need the path of what is to be checked")
				}
				src.CheckPath, args = args[0], args[1:]
			}
			continue
		}
		if args[0] == "--fix" {
			src.Fix, args = true, args[1:]
			continue
		}
		s, rest, err := readFlag(args)
		if err != nil {
			return err
		}
		src.flags = append(src.flags, s)
		args = rest
	}
	if src.Fix && src.Action != CheckAOF {
		return UsageError("--fix goes with --check-aof alone: a snapshot has no end that could be cut")
	}
	return nil
}

// readFlag reads one flag with its value and returns the arguments behind it.
func readFlag(args []string) (setting, []string, error) {
	flag, rest := args[0], args[1:]
	name, dashed := strings.CutPrefix(flag, "--")
	if !dashed {
		return setting{}, nil, UsageError(fmt.Sprintf("unexpected argument %q: a configuration file stands first, everything else is --name value", flag))
	}
	name, value, hasValue := strings.Cut(name, "=")
	o, ok := Lookup(name)
	if !ok {
		return setting{}, nil, UsageError(fmt.Sprintf("unknown option --%s%s", name, suggest(name, byName)))
	}
	origin := "--" + o.Name
	if hasValue {
		return setting{o, value, origin}, rest, nil
	}
	if len(rest) == 0 {
		return setting{}, nil, UsageError(fmt.Sprintf("%s needs a value; allowed: %s", origin, o.Allowed()))
	}
	n := 1
	// As redis-server: the words of a list need no quotes (--bind 127.0.0.1 ::1).
	for o.value.words() && n < len(rest) && !strings.HasPrefix(rest[n], "--") {
		n++
	}
	return setting{o, strings.Join(rest[:n], " "), origin}, rest[n:], nil
}

// readEnviron reads the SYNAP_* variables. Kubernetes sets some of that name
// for a service called synap; those are left alone.
func (src *Source) readEnviron(environ []string) {
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "SYNAP_") {
			continue
		}
		o, ok := byEnv[name]
		switch {
		case strings.HasPrefix(name, "SYNAP_SERVICE_"), strings.HasPrefix(name, "SYNAP_PORT") && strings.HasPrefix(value, "tcp://"),
			!ok && strings.HasPrefix(name, "SYNAP_PORT_"):
		case !ok:
			src.Warnings = append(src.Warnings, fmt.Sprintf("environment variable %s is ignored: no option has that name%s", name, suggest(name, byEnv)))
		default:
			src.env = append(src.env, setting{o, value, name})
		}
	}
}

// Reload reads the file again, with the flags and the environment of the
// start. Options that are read at start only keep current's values; the names
// of those that would have changed are returned.
func (src *Source) Reload(current *Config) (next *Config, ignored []string, err error) {
	src.Warnings = nil
	if next, err = src.load(); err != nil {
		return nil, nil, err
	}
	for _, o := range options {
		if o.Mode != Fixed || o.value.get(current) == o.value.get(next) {
			continue
		}
		ignored = append(ignored, o.Name)
		if err := o.value.set(next, o.value.file(current)); err != nil {
			return nil, nil, err
		}
	}
	// Fixed options are current's: whatever is wrong with them was so before.
	if o, err := next.check(); err != nil && o.Mode != Fixed {
		return nil, nil, &ValueError{Origin: src.Path, Option: o, Value: o.value.file(next), Reason: err}
	}
	return next, ignored, nil
}

// SetError is a refused CONFIG SET, in redis-server's words.
type SetError struct {
	Name    string
	Unknown bool
	Reason  string
}

func (e *SetError) Error() string {
	if e.Unknown {
		return fmt.Sprintf("Unknown option or number of arguments for CONFIG SET - '%s'", e.Name)
	}
	return fmt.Sprintf("CONFIG SET failed (possibly related to argument '%s') - %s", e.Name, e.Reason)
}

// With returns a Config with all the pairs of name and value set, or a
// *SetError and nothing. Protected options need allowProtected.
func (c *Config) With(pairs [][2]string, allowProtected bool) (*Config, error) {
	seen := map[*Option]bool{}
	for _, p := range pairs {
		o, ok := Lookup(p[0])
		switch {
		case !ok:
			return nil, &SetError{Name: p[0], Unknown: true}
		case o.Mode == Fixed:
			return nil, &SetError{Name: p[0], Reason: "can't set immutable config"}
		case o.Mode == Protected && !allowProtected:
			return nil, &SetError{Name: p[0], Reason: "can't set protected config"}
		case seen[o]:
			return nil, &SetError{Name: p[0], Reason: "duplicate parameter"}
		}
		seen[o] = true
	}
	next := *c
	for _, p := range pairs {
		o, _ := Lookup(p[0])
		if err := o.value.set(&next, p[1]); err != nil {
			return nil, &SetError{Name: o.Name, Reason: err.Error()}
		}
	}
	if o, err := next.check(); err != nil && o.Mode != Fixed {
		return nil, &SetError{Name: o.Name, Reason: err.Error()}
	}
	return &next, nil
}

// Get returns name and value of the options that any of the patterns names,
// each once; an option named in full is returned as it was written. match is
// the glob matcher; it gets both in lower case.
func (c *Config) Get(match func(pattern, name string) bool, patterns ...string) (pairs [][2]string) {
	for _, o := range options {
		for _, p := range patterns {
			name := p
			if strings.ContainsAny(p, "*?[") {
				name = o.Name
				if !match(strings.ToLower(p), o.Name) {
					continue
				}
			} else if !strings.EqualFold(p, o.Name) {
				continue
			}
			pairs = append(pairs, [2]string{name, o.value.get(c)})
			break
		}
	}
	return pairs
}

// suggest names the known key that a wrong one was probably meant to be.
func suggest(wrong string, known map[string]*Option) string {
	best, distance := "", min(3, len(wrong))
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if d := editDistance(wrong, k, distance); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is Levenshtein's, or limit if it is not smaller.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return min(row[len(b)], limit)
}
