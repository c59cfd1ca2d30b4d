package plugintest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

func TestStrictRFC5424(t *testing.T) {
	var v struct {
		Expect struct{ Valid, Invalid []string }
	}
	b, err := os.ReadFile("testdata/parse-rfc5424.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for _, s := range v.Expect.Valid {
		if _, err := ParseRFC5424([]byte(s)); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range v.Expect.Invalid {
		if m, err := ParseRFC5424([]byte(s)); err == nil {
			t.Errorf("%q was taken: %+v", s, m)
		}
	}
	m, err := ParseRFC5424([]byte("<131>1 2025-10-29T12:00:00.5Z h app - anomaly [zt@32473 eventId=\"a\\]\\\"\\\\\\n\"][o ip=\"1\" ip=\"2\"] \xef\xbb\xbfhé"))
	if id, _ := m.Param("eventId"); err != nil || id != `a]"\\n` || m.Facility != 16 || m.Severity != 3 || m.MsgID != "anomaly" || !m.BOM || string(m.Text) != "hé" || len(m.SD) != 2 || m.ProcID != "" {
		t.Errorf("%+v %v", m, err)
	}
}

func TestRFC3164(t *testing.T) {
	f := func(s, host, tag, text string) {
		t.Helper()
		m, err := ParseRFC3164([]byte(s))
		if err != nil || m.Host != host || m.Tag != tag || string(m.Text) != text {
			t.Errorf("%q: %+v %v", s, m, err)
		}
	}
	f("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", "mymachine", "su", "'su root' failed")
	f("<34>Oct  9 22:14:15 h app[12]: x", "h", "app", "x")
	f("<34>2025-10-29T12:00:00Z h no tag", "h", "", "no tag")
	f("<34>Oct  9 22:14:15 h CEF:0|a", "h", "", "CEF:0|a")
	for _, bad := range []string{"", "<34>", "<34>Oct 09 22:14:15 h x", "<34>Oct  9 22:14:15", "Oct  9 22:14:15 h x", "<34>Oct 32 22:14:15 h x"} {
		if m, err := ParseRFC3164([]byte(bad)); err == nil {
			t.Errorf("%q was taken: %+v", bad, m)
		}
	}
}

func TestCEF(t *testing.T) {
	r, err := ParseCEF([]byte(`CEF:0|Zero\|Trust|P\\|1.0|auth|a=b name|7|rt=1761739200000 externalId=A-1 msg=a\=b \\ c\nd cs1=x y cs1Label=z`))
	if err != nil {
		t.Fatal(err)
	}
	msg, _ := r.Value("msg")
	if r.Header[0] != "Zero|Trust" || r.Header[1] != `P\` || r.Header[4] != "a=b name" || msg != "a=b \\ c\nd" {
		t.Errorf("%+v", r)
	}
	f := func(s, want string) {
		t.Helper()
		if _, err := ParseCEF([]byte(s)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", s, err, want)
		}
	}
	const h = "CEF:0|v|p|1|c|n|5|"
	f("CEF:0|v|p|1|c|n|5", "seven pipes")
	f("CEF:2|v|p|1|c|n|5|", "version")
	f("CEF:0|v|p|1|c||5|", "header field 5")
	f("CEF:0|v|p|1|c|n|11|", "severity")
	f(`CEF:0|v\x|p|1|c|n|1|`, "backslash")
	f(h+"msg=a\nb", "within")
	f(h+"msg=a b==c", "unescaped")
	f(h+`msg=a\`, "lone backslash")
	f(h+`msg=a\|b`, "does not exist")
	f(h+"msg=a msg=b", "twice")
	f(h+"cs1=a", "no Label")
	f(h+"cn1=1.5 cn1Label=x", "cn1")
	f(h+"rt=1761739200", "seconds")
	f(h+"rt=2025-10-29T12:00:00Z", "3339")
	f(h+"dvc=DEV-1", "IPv4")
	f(h+"externalId="+strings.Repeat("x", 41), "40")
	f(h+"hello", "begin with a key")
}

func TestLEEF(t *testing.T) {
	for _, s := range []string{
		"LEEF:2.0|v|p|1|id|x09|sev=5\tcat=a=b\tdevTime=1761739200000", "LEEF:2.0|v|p|1|id|^|sev=5^cat=a=b", "LEEF:2.0|v|p|1|id||sev=5\tcat=a=b", "LEEF:1.0|v|p|1|id|sev=5\tcat=a=b",
	} {
		r, err := ParseLEEF([]byte(s))
		if cat, _ := r.Value("cat"); err != nil || cat != "a=b" || r.Header[3] != "id" {
			t.Errorf("%q: %+v %v", s, r, err)
		}
	}
	f := func(s, want string) {
		t.Helper()
		if _, err := ParseLEEF([]byte(s)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", s, err, want)
		}
	}
	f("LEEF:3.0|v|p|1|id|", "version")
	f("LEEF:1.0|v|p|1", "missing")
	f("LEEF:1.0|v||1|id|a=b", "missing")
	f("LEEF:1.0|v|p|1|id|sev=0", "sev")
	f("LEEF:1.0|v|p|1|id|a=b\tc", "equals sign")
	f("LEEF:1.0|v|p|1|id|a=b\ta=c", "twice")
	f("LEEF:2.0|v|p|1|id|ab|a=b", "delimiter")
	f("LEEF:1.0|v|p|1|id|a=b\nc", "within")
}

func TestSyslogFraming(t *testing.T) {
	msg := func(id string) string {
		return `<131>1 2025-10-29T12:00:00Z h a - m [z@32473 eventId="` + id + `"] text`
	}
	octet := func(s string) string { return fmt.Sprintf("%d %s", len(s), s) }
	for _, transport := range []string{"tcp", "tls", "udp"} {
		r := start(t, "syslog", Options{Transport: transport})
		f := func(parts ...string) {
			t.Helper()
			c, err := dial(r)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, p := range parts {
				if _, err := io.WriteString(c, p); err != nil {
					t.Fatal(err)
				}
			}
		}
		if transport == "udp" {
			f(msg("1"), "", msg("2"), "rubbish")
		} else {
			f(octet(msg("1"))+octet(msg("2")), "7 rubbish")
			f(msg("3")+"\n"+msg("4")+"\r\n\n", msg("5")+"\n")
			f("\n")
			f("0 x")
			f("99999999 x")
			f(octet(msg("9"))[:20]) // cut short: nothing
		}
		want := map[string]Stats{"udp": {Distinct: 2, Malformed: 1}, "tcp": {Distinct: 5, Malformed: 2}, "tls": {Distinct: 5, Malformed: 2}}[transport]
		if err := r.Await(t.Context(), func(s Stats) bool { return s.Distinct >= want.Distinct && s.Malformed >= want.Malformed }); err != nil {
			t.Fatal(err)
		}
		if s := r.Stats(); s.Distinct != want.Distinct || s.Malformed != want.Malformed || s.NoID < 1 {
			t.Errorf("%s: %+v; %s", transport, s, r.LastMalformed())
		}
	}
}

func TestSyslogFaults(t *testing.T) {
	f := func(spec string, taken int64, cut bool) {
		t.Helper()
		r := start(t, "syslog", Options{Fault: spec})
		c, err := net.Dial("tcp", r.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "<131>1 - h a - m - x\n<131>1 - h a - m - y\n")
		if err := r.Await(t.Context(), func(s Stats) bool { return s.Events == taken && (s.Faults > 0) }); err != nil {
			t.Fatal(err)
		}
		if cut {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: the connection lives", spec)
			}
		}
	}
	f("reset_before", 0, true)
	f("reset_after", 1, true)
	f("slow=1ms", 2, false)
	f("hang", 0, false)
}
