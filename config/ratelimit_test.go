package config

import (
	"reflect"
	"strings"
	"testing"
)

// A wrong value of a limiter option is refused at start and by CONFIG SET, with
// the option's name and what is allowed, and changes nothing.
func TestRateLimitRefusals(t *testing.T) {
	const (
		rate  = "argument must be a number between 0 and 1000000000 inclusive"
		count = "argument must be between 0 and 2147483647 inclusive"
		yes   = "argument must be 'yes' or 'no'"
		word  = "argument must be one word of up to 32 capital letters"
	)
	for _, tc := range []struct{ name, value, want string }{
		{"enabled", "maybe", yes},
		{"requests-per-second", "-1", rate},
		{"requests-per-second", "1000000001", rate},
		{"requests-per-second", "nan", rate},
		{"requests-per-second", "ten", rate},
		{"requests-per-second", "0", "argument must be above 0 while rate-limit-enabled is yes"},
		{"burst-size", "-1", count},
		{"burst-size", "2147483648", count},
		{"burst-size", "1.5", "argument couldn't be parsed into an integer"},
		{"burst-size", "0", "argument must be above 0 while rate-limit-enabled is yes"},
		{"action", "drop", "argument(s) must be one of the following: reject, delay, close"},
		{"action", "", "argument(s) must be one of the following: reject, delay, close"},
		{"dry-run", "1", yes},
		{"exempt", "10.0.0.0/33", "argument must be a list of addresses or CIDR ranges, and '10.0.0.0/33' is neither"},
		{"exempt", "127.0.0.1 here", "argument must be a list of addresses or CIDR ranges, and 'here' is neither"},
		{"ipv6-prefix", "0", "argument must be between 1 and 128 inclusive"},
		{"ipv6-prefix", "129", "argument must be between 1 and 128 inclusive"},
		{"connections-per-second", "-1", "argument must be between 0 and 1000000 inclusive"},
		{"max-connections", "-1", count},
		{"auth-failures-per-minute", "1000001", "argument must be between 0 and 1000000 inclusive"},
		{"error-prefix", "try again", word},
		{"error-prefix", "", word},
		{"cost-by-size", "size", yes},
	} {
		name := "rate-limit-" + tc.name
		flags := []string{"--rate-limit-enabled", "yes", "--" + name, tc.value}
		if _, _, err := Load(flags, nil); err == nil || !strings.Contains(err.Error(), name+` "`+tc.value+`": `+tc.want) {
			t.Errorf("at start, %s %q: %v, want %s", name, tc.value, err, tc.want)
		}
		before, _, err := Load(flags[:2], nil)
		if err != nil {
			t.Fatal(err)
		}
		untouched, _, _ := Load(flags[:2], nil)
		next, err := before.With([][2]string{{"timeout", "5"}, {name, tc.value}}, false)
		if want := "CONFIG SET failed (possibly related to argument '" + name + "') - " + tc.want; next != nil || err == nil || err.Error() != want {
			t.Errorf("CONFIG SET %s %q: %v, want %s", name, tc.value, err, want)
		}
		if !reflect.DeepEqual(before, untouched) {
			t.Errorf("CONFIG SET %s %q was refused and changed something", name, tc.value)
		}
	}
}
