package limiter

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
)

// Action is what the server does with a command that the limiter refuses.
type Action uint8

const (
	Reject Action = iota // one error a command, the connection stays
	Delay                // the session is parked until a token is there
	Close                // one error, then the connection is closed
)

var actionNames = [...]string{Reject: "reject", Delay: "delay", Close: "close"}

func (a Action) String() string { return actionNames[a] }

// ParseAction reads reject, delay or close.
func ParseAction(s string) (Action, error) {
	for a, name := range actionNames {
		if strings.EqualFold(s, name) {
			return Action(a), nil
		}
	}
	return 0, fmt.Errorf("rate-limit-action: '%s' is not one of: reject, delay, close", s)
}

// Config is the rate_limit section. Its zero value is off.
type Config struct {
	Enabled               bool
	Rate                  float64 // tokens a second for each address
	Burst                 int     // capacity of a bucket
	Action                Action
	DryRun                bool // count, never act
	Exempt                []netip.Prefix
	IPv6Prefix            int // bits of an IPv6 address that make a client, 0 = 64
	ConnectionsPerSecond  int // accept rate for each address, 0 = off
	MaxConnections        int // concurrent connections of an address, 0 = off
	AuthFailuresPerMinute int // failures after which each AUTH waits a second, 0 = off
	ErrorPrefix           string
	CostBySize            bool
}

// A token may take a year at most, so that burst × interval fits its word.
const longestFill = 365 * 24 * 3600

// Validate returns an error naming the option and what is allowed.
func (c *Config) Validate() error {
	if c.Enabled && (!(c.Rate > 0) || c.Rate > 1e9) {
		return fmt.Errorf("rate-limit-requests-per-second: %v is not allowed while rate-limit-enabled is yes, it must be above 0 and at most 1000000000", c.Rate)
	}
	if c.Enabled && (c.Burst < 1 || c.Burst > math.MaxInt32) {
		return fmt.Errorf("rate-limit-burst-size: %d is not allowed while rate-limit-enabled is yes, it must be between 1 and %d", c.Burst, math.MaxInt32)
	}
	if c.Enabled && float64(c.Burst)/c.Rate > longestFill {
		return fmt.Errorf("rate-limit-burst-size: %d tokens at %v a second take more than a year to fill", c.Burst, c.Rate)
	}
	if c.Rate < 0 || math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0) {
		return fmt.Errorf("rate-limit-requests-per-second: %v must be between 0 and 1000000000", c.Rate)
	}
	if c.Action > Close {
		return fmt.Errorf("rate-limit-action: %d is not one of: reject, delay, close", c.Action)
	}
	for _, o := range []struct {
		name       string
		value, max int
	}{
		{"rate-limit-burst-size", c.Burst, math.MaxInt32},
		{"rate-limit-ipv6-prefix", c.IPv6Prefix, 128},
		{"rate-limit-connections-per-second", c.ConnectionsPerSecond, 1_000_000},
		{"rate-limit-max-connections", c.MaxConnections, maxRefs - 1},
		{"rate-limit-auth-failures-per-minute", c.AuthFailuresPerMinute, 1_000_000},
	} {
		if o.value < 0 || o.value > o.max {
			return fmt.Errorf("%s: %d must be between 0 and %d", o.name, o.value, o.max)
		}
	}
	if strings.ContainsFunc(c.ErrorPrefix, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return fmt.Errorf("rate-limit-error-prefix: '%s' must be one word of capital letters", c.ErrorPrefix)
	}
	for _, p := range c.Exempt {
		if !p.IsValid() {
			return fmt.Errorf("rate-limit-exempt: '%v' is not an address range such as 10.0.0.0/8 or fd00::/8", p)
		}
	}
	return nil
}
