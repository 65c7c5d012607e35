package config

import (
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is the type of an option: how its text is read into a Config and
// written back. Error texts are those of redis-server's CONFIG SET.
type value interface {
	set(c *Config, text string) error // c is changed only if the text is good
	get(c *Config) string             // as CONFIG GET shows it
	file(c *Config) string            // as a person would write it; set reads it back
	words() bool                      // several words make one value
	allowed() string                  // what may be written, for --print-config and README
}

// reason says why a value is refused.
type reason string

func (r reason) Error() string { return string(r) }

// single is embedded by values of one word.
type single struct{}

func (single) words() bool { return false }

// several is embedded by values of any number of words.
type several struct{}

func (several) words() bool { return true }

// number is an integer between min and max.
type number[T int | int64] struct {
	single
	at       func(*Config) *T
	min, max T
}

const errNotInteger = reason("argument couldn't be parsed into an integer")

func (v number[T]) set(c *Config, text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || text[0] == '+' {
		return errNotInteger
	}
	if n < int64(v.min) || n > int64(v.max) {
		return fmt.Errorf("argument must be between %d and %d inclusive", v.min, v.max)
	}
	*v.at(c) = T(n)
	return nil
}

func (v number[T]) get(c *Config) string  { return strconv.FormatInt(int64(*v.at(c)), 10) }
func (v number[T]) file(c *Config) string { return v.get(c) }

func (v number[T]) allowed() string {
	if int64(v.max) == math.MaxInt64 {
		return fmt.Sprintf("at least %d", v.min)
	}
	return fmt.Sprintf("%d to %d", v.min, v.max)
}

// seconds is a whole number of seconds kept as a time.Duration.
type seconds struct {
	single
	at       func(*Config) *time.Duration
	min, max int64
}

func (v seconds) set(c *Config, text string) error {
	var n int64
	err := number[int64]{at: func(*Config) *int64 { return &n }, min: v.min, max: v.max}.set(c, text)
	if err == nil {
		*v.at(c) = time.Duration(n) * time.Second
	}
	return err
}

func (v seconds) get(c *Config) string {
	return strconv.FormatInt(int64(*v.at(c)/time.Second), 10)
}
func (v seconds) file(c *Config) string { return v.get(c) }
func (v seconds) allowed() string       { return fmt.Sprintf("%d to %d seconds", v.min, v.max) }

// duration is a time with a unit: 500ms, 30s, 5m, 1h; a bare number is
// milliseconds.
type duration struct {
	single
	at  func(*Config) *time.Duration
	min time.Duration
}

func (v duration) set(c *Config, text string) error {
	d, err := time.ParseDuration(text)
	if n, bare := strconv.ParseInt(text, 10, 64); bare == nil && n <= math.MaxInt64/int64(time.Millisecond) {
		d, err = time.Duration(n)*time.Millisecond, nil
	}
	if err != nil || d < v.min || d%time.Millisecond != 0 {
		return fmt.Errorf("argument must be a time such as %s", v.allowed())
	}
	*v.at(c) = d
	return nil
}

func (v duration) get(c *Config) string {
	d := *v.at(c)
	for _, u := range [...]struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d != 0 && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Millisecond), 10) + "ms"
}

func (v duration) file(c *Config) string { return v.get(c) }
func (v duration) allowed() string {
	return fmt.Sprintf("500ms, 30s, 5m or 1h, at least %dms", v.min.Milliseconds())
}

// real is a finite floating-point number between 0 and max.
type real struct {
	single
	at  func(*Config) *float64
	max float64
}

func (v real) set(c *Config, text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 0 && f <= v.max) {
		return fmt.Errorf("argument must be a number between 0 and %s inclusive", formatReal(v.max))
	}
	*v.at(c) = f
	return nil
}

func (v real) get(c *Config) string  { return formatReal(*v.at(c)) }
func (v real) file(c *Config) string { return v.get(c) }
func (v real) allowed() string       { return "0 to " + formatReal(v.max) }

func formatReal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// size is a number of bytes, written with the units of redis.conf.
type size[T int | int64] struct {
	single
	at       func(*Config) *T
	min, max T
	percent  bool // N% of the memory the process may use is understood, too
}

const errNotMemory = reason("argument must be a memory value")

func (v size[T]) set(c *Config, text string) error {
	if share, ok := strings.CutSuffix(text, "%"); ok && v.percent {
		p, err := parsePercent(share)
		if err != nil {
			return err
		}
		*v.at(c) = T(c.MemoryAllowed / 100 * int64(p))
		return nil
	}
	n, err := parseSize(text)
	if err != nil {
		return err
	}
	if n < int64(v.min) || n > int64(v.max) {
		return fmt.Errorf("argument must be between %d and %d inclusive", v.min, v.max)
	}
	*v.at(c) = T(n)
	return nil
}

func (v size[T]) get(c *Config) string  { return strconv.FormatInt(int64(*v.at(c)), 10) }
func (v size[T]) file(c *Config) string { return formatSize(int64(*v.at(c))) }

func (v size[T]) allowed() string {
	if v.percent {
		return "bytes or N%"
	}
	if int64(v.max) == math.MaxInt64 {
		return "bytes, at least " + formatSize(int64(v.min))
	}
	return "bytes, " + formatSize(int64(v.min)) + " to " + formatSize(int64(v.max))
}

// units are redis.conf's: those without b are powers of ten. formatSize tries
// them in this order.
var units = []struct {
	name  string
	bytes int64
}{{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}, {"g", 1e9}, {"m", 1e6}, {"k", 1e3}, {"b", 1}}

// parseSize reads a number of bytes with an optional unit, as redis.conf does.
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "bBgGkKmM")
	unit, factor := strings.ToLower(text[len(digits):]), int64(1)
	if unit != "" {
		i := slices.IndexFunc(units, func(u struct {
			name  string
			bytes int64
		}) bool {
			return u.name == unit
		})
		if i < 0 {
			return 0, errNotMemory
		}
		factor = units[i].bytes
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/factor {
		return 0, errNotMemory
	}
	return int64(n) * factor, nil
}

func formatSize(n int64) string {
	for _, u := range units[:3] {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func parsePercent(text string) (int, error) {
	p, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, reason("argument must be a memory or percent value")
	}
	if p > 100 {
		return 0, reason("percentage argument must be less or equal to 100")
	}
	return int(p), nil
}

// clientsMemory is maxmemory-clients: bytes, or a percentage of maxmemory.
type clientsMemory struct{ single }

func (clientsMemory) set(c *Config, text string) error {
	if share, ok := strings.CutSuffix(text, "%"); ok {
		p, err := parsePercent(share)
		if err != nil {
			return err
		}
		c.MaxMemoryClients, c.MaxMemoryClientsPercent = 0, p
		return nil
	}
	n, err := parseSize(text)
	if err != nil {
		return reason("argument must be a memory or percent value")
	}
	c.MaxMemoryClients, c.MaxMemoryClientsPercent = n, 0
	return nil
}

func (clientsMemory) get(c *Config) string {
	if c.MaxMemoryClientsPercent != 0 {
		return strconv.Itoa(c.MaxMemoryClientsPercent) + "%"
	}
	return strconv.FormatInt(c.MaxMemoryClients, 10)
}

func (v clientsMemory) file(c *Config) string {
	if c.MaxMemoryClientsPercent != 0 {
		return v.get(c)
	}
	return formatSize(c.MaxMemoryClients)
}

func (clientsMemory) allowed() string { return "bytes or N% of maxmemory; 0 = no limit" }

// yesNo is a switch.
type yesNo struct {
	single
	at func(*Config) *bool
}

func (v yesNo) set(c *Config, text string) error {
	switch strings.ToLower(text) {
	case "yes":
		*v.at(c) = true
	case "no":
		*v.at(c) = false
	default:
		return reason("argument must be 'yes' or 'no'")
	}
	return nil
}

func (v yesNo) get(c *Config) string {
	if *v.at(c) {
		return "yes"
	}
	return "no"
}
func (v yesNo) file(c *Config) string { return v.get(c) }
func (v yesNo) allowed() string       { return "yes, no" }

// oneOf is a word out of a list, in any case.
type oneOf struct {
	single
	at   func(*Config) *string
	list []string
}

func (v oneOf) set(c *Config, text string) error {
	text = strings.ToLower(text)
	if !slices.Contains(v.list, text) {
		return reason("argument(s) must be one of the following: " + strings.Join(v.list, ", "))
	}
	*v.at(c) = text
	return nil
}

func (v oneOf) get(c *Config) string  { return *v.at(c) }
func (v oneOf) file(c *Config) string { return *v.at(c) }
func (v oneOf) allowed() string       { return strings.Join(v.list, ", ") }

// text is any string; check, if given, refuses some.
type text struct {
	single
	at    func(*Config) *string
	what  string
	check func(string) error
}

func (v text) set(c *Config, s string) error {
	if v.check != nil {
		if err := v.check(s); err != nil {
			return err
		}
	}
	*v.at(c) = s
	return nil
}

func (v text) get(c *Config) string  { return *v.at(c) }
func (v text) file(c *Config) string { return *v.at(c) }
func (v text) allowed() string       { return v.what }

// directory is dir. It is kept absolute, as CONFIG GET shows it.
type directory struct{ single }

func (directory) set(c *Config, s string) error {
	if s == "" {
		return reason("argument must not be empty")
	}
	if !filepath.IsAbs(s) {
		s = filepath.Join(c.launched, s)
	}
	c.Dir = filepath.Clean(s)
	return nil
}

func (directory) get(c *Config) string  { return c.Dir }
func (directory) file(c *Config) string { return c.Dir }
func (directory) allowed() string       { return "path" }

// list is any number of words.
type list struct {
	several
	at    func(*Config) *[]string
	what  string
	check func(string) error
}

func (v list) set(c *Config, s string) error {
	words := strings.Fields(s)
	for _, w := range words {
		if v.check == nil {
			break
		}
		if err := v.check(w); err != nil {
			return err
		}
	}
	*v.at(c) = words
	return nil
}

func (v list) get(c *Config) string  { return strings.Join(*v.at(c), " ") }
func (v list) file(c *Config) string { return v.get(c) }
func (v list) allowed() string       { return v.what }

// networks is a list of address ranges in CIDR notation (RFC 4632); a bare
// address is a range of one.
type networks struct {
	several
	at func(*Config) *[]netip.Prefix
}

func (v networks) set(c *Config, s string) error {
	var all []netip.Prefix
	for _, w := range strings.Fields(s) {
		p, err := netip.ParsePrefix(w)
		if err != nil {
			a, aerr := netip.ParseAddr(w)
			if aerr != nil || a.Zone() != "" {
				return fmt.Errorf("argument must be a list of addresses or CIDR ranges, and '%s' is neither", w)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 { // peers are compared unmapped
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		all = append(all, p.Masked())
	}
	*v.at(c) = all
	return nil
}

func (v networks) get(c *Config) string {
	var words []string
	for _, p := range *v.at(c) {
		words = append(words, p.String())
	}
	return strings.Join(words, " ")
}
func (v networks) file(c *Config) string { return v.get(c) }
func (v networks) allowed() string       { return "addresses or CIDR ranges" }

// fileMode is a file's permissions in octal; 0 leaves them to the umask.
type fileMode struct {
	single
	at func(*Config) *uint32
}

func (v fileMode) set(c *Config, text string) error {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n > 0o777 {
		return reason("argument must be an octal file mode between 0 and 777")
	}
	*v.at(c) = uint32(n)
	return nil
}

func (v fileMode) get(c *Config) string  { return strconv.FormatUint(uint64(*v.at(c)), 8) }
func (v fileMode) file(c *Config) string { return v.get(c) }
func (v fileMode) allowed() string       { return "octal, 0 to 777" }

// percentiles is latency-tracking-info-percentiles.
type percentiles struct{ several }

func (percentiles) set(c *Config, s string) error {
	var all []float64
	for _, w := range strings.Fields(s) {
		f, err := strconv.ParseFloat(w, 64)
		if err != nil {
			return reason("Invalid latency-tracking-info-percentiles parameters")
		}
		if !(f >= 0 && f <= 100) {
			return reason("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
		}
		all = append(all, f)
	}
	c.LatencyTrackingInfoPercentiles = all
	return nil
}

func (percentiles) get(c *Config) string {
	var words []string
	for _, f := range c.LatencyTrackingInfoPercentiles {
		words = append(words, formatReal(f))
	}
	return strings.Join(words, " ")
}
func (v percentiles) file(c *Config) string { return v.get(c) }
func (percentiles) allowed() string         { return "numbers from 0 to 100" }

// outputLimits is client-output-buffer-limit: any number of groups of class,
// hard limit, soft limit and seconds. A class that is not named keeps its limit.
type outputLimits struct{ several }

func (outputLimits) set(c *Config, s string) error {
	words := strings.Fields(s)
	if len(words)%4 != 0 {
		return reason("Wrong number of arguments in buffer limit configuration.")
	}
	limits := c.OutputLimits
	for g := range slices.Chunk(words, 4) {
		class := slices.Index([]string{"normal", "replica", "pubsub"}, strings.ToLower(g[0]))
		if strings.EqualFold(g[0], "slave") {
			class = int(ClassReplica)
		}
		if class < 0 {
			return reason("Invalid client class specified in buffer limit configuration.")
		}
		hard, herr := parseSize(g[1])
		soft, serr := parseSize(g[2])
		sec, err := strconv.ParseUint(g[3], 10, 31)
		if herr != nil || serr != nil || err != nil {
			return reason("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
		}
		limits[class] = OutputLimit{Hard: hard, Soft: soft, Seconds: int(sec)}
	}
	c.OutputLimits = limits
	return nil
}

func (outputLimits) get(c *Config) string {
	return joinLimits(c, "slave", func(n int64) string { return strconv.FormatInt(n, 10) })
}

func (outputLimits) file(c *Config) string { return joinLimits(c, "replica", formatSize) }

func (outputLimits) allowed() string {
	return "groups of normal, replica or pubsub, hard limit, soft limit, seconds"
}

func joinLimits(c *Config, replica string, size func(int64) string) string {
	var words []string
	for i, l := range c.OutputLimits {
		words = append(words, []string{"normal", replica, "pubsub"}[i], size(l.Hard), size(l.Soft), strconv.Itoa(l.Seconds))
	}
	return strings.Join(words, " ")
}

// EventClasses are the classes of keyspace events that the letter A of
// notify-keyspace-events stands for.
const EventClasses = "g$lshzxetd"

// keyspaceEvents is notify-keyspace-events: letters in any order, kept in the
// order of redis-server's CONFIG GET.
type keyspaceEvents struct{ single }

func (keyspaceEvents) set(c *Config, text string) error {
	const order = EventClasses + "nKEm"
	if strings.Trim(text, "A"+order) != "" {
		return reason("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
	}
	text = strings.ReplaceAll(text, "A", EventClasses)
	var b strings.Builder
	for _, letter := range order {
		if strings.ContainsRune(text, letter) {
			b.WriteRune(letter)
		}
	}
	c.NotifyKeyspaceEvents = strings.Replace(b.String(), EventClasses, "A", 1)
	return nil
}

func (keyspaceEvents) get(c *Config) string  { return c.NotifyKeyspaceEvents }
func (keyspaceEvents) file(c *Config) string { return c.NotifyKeyspaceEvents }
func (keyspaceEvents) allowed() string       { return "letters of Ag$lshzxeKEtmdn" }

// saveParams is save: pairs of seconds and changes.
type saveParams struct{ several }

func (saveParams) set(c *Config, s string) error {
	words := strings.Fields(s)
	if len(words)%2 != 0 {
		return reason("Invalid save parameters")
	}
	var all []SavePoint
	for pair := range slices.Chunk(words, 2) {
		seconds, err1 := strconv.ParseInt(pair[0], 10, 32)
		changes, err2 := strconv.ParseInt(pair[1], 10, 32)
		if err1 != nil || err2 != nil || seconds < 1 || changes < 0 {
			return reason("Invalid save parameters")
		}
		all = append(all, SavePoint{seconds, changes})
	}
	c.Save = all
	return nil
}

func (saveParams) get(c *Config) string {
	var words []string
	for _, p := range c.Save {
		words = append(words, strconv.FormatInt(p.Seconds, 10), strconv.FormatInt(p.Changes, 10))
	}
	return strings.Join(words, " ")
}
func (v saveParams) file(c *Config) string { return v.get(c) }
func (saveParams) allowed() string         { return `pairs of seconds and changes, or ""` }
