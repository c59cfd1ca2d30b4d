package plugintest

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// EventTypes are the seven types of events.
func EventTypes() []string {
	return []string{"anomaly", "risk_assessment", "compliance_check", "telemetry", "workflow_execution", "security_event", "alert"}
}

// A Generator makes realistic events of all types and severities, the same for
// the same seed. Set its fields before the first Append.
type Generator struct {
	Start  time.Time     // of the first event; the zero value is 2025-10-29T12:00:00Z
	Step   time.Duration // from event to event, default 1ms
	Prefix string        // of ids, default "EVT-"
	NoID   bool          // leave event_id out

	r *rand.Rand
	n int64
}

// NewGenerator makes one.
func NewGenerator(seed uint64) *Generator {
	return &Generator{
		Start: time.Date(2025, 10, 29, 12, 0, 0, 0, time.UTC), Step: time.Millisecond, Prefix: "EVT-",
		r: rand.New(rand.NewPCG(seed, 0x51e3d)),
	}
}

// Count is how many events have been made.
func (g *Generator) Count() int64 { return g.n }

// ID is the event_id of event n, counted from 0.
func (g *Generator) ID(n int64) string { return string(g.appendID(nil, n)) }

func (g *Generator) appendID(b []byte, n int64) []byte {
	return strconv.AppendInt(append(b, g.Prefix...), 1_000_000_000+n, 10)
}

// Append appends the next event: one JSON object of about 400 bytes, and a newline.
func (g *Generator) Append(b []byte) []byte {
	n := g.n
	g.n++
	kind := int(n % 7)
	b = append(b, '{')
	if !g.NoID {
		b = append(g.appendID(append(b, `"event_id":"`...), n), `",`...)
	}
	b = append(b, `"timestamp":"`...)
	b = g.Start.Add(time.Duration(n)*g.Step).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(append(b, `","event_type":"`...), kindNames[kind]...)
	b = strconv.AppendInt(append(b, `","source":"DEV-`...), int64(1000+g.r.IntN(5000)), 10)
	b = append(b, '"', ',')
	severity := pick(g.r, severityWords)
	if kind > 1 {
		b = append(append(append(b, `"severity":"`...), severity...), `",`...)
	}
	b = kindBodies[kind](g, b, severity)
	return append(b, '}', '\n')
}

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// score appends a number from 0.0 to 99.9.
func (g *Generator) score(b []byte) []byte {
	n := g.r.IntN(1000)
	b = strconv.AppendInt(b, int64(n/10), 10)
	return append(b, '.', byte('0'+n%10))
}

func (g *Generator) int(b []byte, below int) []byte {
	return strconv.AppendInt(b, int64(g.r.IntN(below)), 10)
}

var (
	kindNames     = EventTypes()
	severityWords = []string{"informational", "low", "medium", "high", "critical"}
	detectors     = []string{"zscore", "isolation_forest", "baseline", "markov_chain"}
	policies      = []string{"FileVault enabled", "Gatekeeper enabled", "SIP enabled", "Firewall enabled", "Screen lock", "OS up to date"}
	attacks       = []string{
		`"title":"Unusual number of failed logins","description":"41 failures in five minutes, baseline 2","mitre_attack":{"tactic":"TA0006","tactic_name":"Credential Access","technique":"T1110","technique_name":"Brute Force"}`,
		`"title":"Beaconing to a new domain","description":"Small uploads every 60 s to a new domain","mitre_attack":{"tactic":"TA0011","tactic_name":"Command and Control","technique":"T1071","technique_name":"Application Layer Protocol"}`,
		`"title":"Unknown interpreter started","description":"osascript was started by a mail client","mitre_attack":{"tactic":"TA0002","tactic_name":"Execution","technique":"T1059","technique_name":"Command and Scripting Interpreter"}`,
	}
	anomalyTypes = []string{"authentication", "network", "process"}
)

var kindBodies = [7]func(g *Generator, b []byte, severity string) []byte{
	func(g *Generator, b []byte, severity string) []byte {
		at := g.r.IntN(len(attacks))
		b = append(append(b, `"anomaly":{"type":"`...), anomalyTypes[at]...)
		b = append(append(b, `","severity":"`...), severity...)
		b = append(g.score(append(b, `","score":`...)), `,"confidence":0.87},"detection":{"method":"statistical","detector":"`...)
		b = append(append(b, pick(g.r, detectors)...), `"},`...)
		return append(b, attacks[at]...)
	},
	func(g *Generator, b []byte, severity string) []byte {
		b = append(g.score(append(b, `"risk":{"total_score":`...)), `,"level":"`...)
		b = append(append(b, severity...), `","previous_score":`...)
		b = append(g.score(b), `,"score_change":`...)
		b = append(g.score(b), `},"risk_components":{"security_posture":`...)
		b = append(g.score(b), `,"compliance":`...)
		b = append(g.score(b), `,"vulnerability":`...)
		b = append(g.score(b), `,"behavior":`...)
		return append(g.score(b), `},"risk_factors":["outdated OS","no disk encryption","failed logins"],"risk_factor_count":3`...)
	},
	func(g *Generator, b []byte, _ string) []byte {
		failed := g.r.IntN(4)
		b = strconv.AppendBool(append(b, `"compliance":{"is_compliant":`...), failed == 0)
		b = append(g.score(append(b, `,"score":`...)), `,"policies_total":24,"policies_passed":`...)
		b = strconv.AppendInt(b, int64(24-failed), 10)
		b = strconv.AppendInt(append(b, `,"policies_failed":`...), int64(failed), 10)
		b = append(append(b, `},"violations":{"critical_count":1,"critical_policies":["`...), pick(g.r, policies)...)
		return append(b, `"],"newly_failed":[],"newly_passed":[]},"changes":{"status_changed":false}`...)
	},
	func(g *Generator, b []byte, _ string) []byte {
		b = append(g.score(append(b, `"title":"Device telemetry","telemetry":{"cpu_percent":`...)), `,"memory_percent":`...)
		b = append(g.score(b), `,"disk_percent":`...)
		b = append(g.int(append(g.score(b), `,"bytes_out":`...), 10_000_000), `,"bytes_in":`...)
		b = append(g.int(b, 10_000_000), `,"processes":`...)
		return append(g.int(b, 900), `,"uptime_seconds":864213,"os":"macOS 15.1","model":"MacBookPro18,3"}`...)
	},
	func(g *Generator, b []byte, _ string) []byte {
		b = append(g.int(append(b, `"title":"Workflow finished","workflow":{"name":"quarantine_device","run":`...), 1_000_000), `,"status":"completed","duration_ms":`...)
		return append(g.int(b, 60_000), `,"steps":[{"name":"isolate_network","result":"ok"},{"name":"revoke_sessions","result":"ok"},{"name":"notify_owner","result":"ok"}]},"trigger":"risk_threshold"`...)
	},
	func(g *Generator, b []byte, _ string) []byte {
		b = append(g.int(append(b, `"title":"Privileged command outside of hours","description":"sudo was used at an unusual time by an account that rarely does","user":{"name":"user`...), 3000), `"},"process":{"name":"sudo","pid":`...)
		return append(g.int(b, 60_000), `,"command_line":"sudo -u root /usr/sbin/installer -pkg update.pkg"},"network":{"src_ip":"10.1.2.3"}`...)
	},
	func(g *Generator, b []byte, _ string) []byte {
		b = append(g.int(append(b, `"title":"Several high-risk findings on one device","description":"Three detections within ten minutes; the device was isolated","alert":{"rule":"correlation-`...), 50), `","count":`...)
		return append(g.int(b, 100), `,"status":"open","assignee":"soc-tier1"},"related":["EVT-1","EVT-2","EVT-3"],"mitre_attack":{"tactic":"TA0010","technique":"T1048"}`...)
	},
}
