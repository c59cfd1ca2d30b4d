package fields

import "github.com/adrian207/siemd/agent"

// The scales of protocols 10, by agent.Severity. Unset counts as informational.
var (
	syslogScale = [...]uint8{6, 6, 5, 4, 3, 2}
	cefScale    = [...]string{"1", "1", "3", "5", "7", "10"}
	ecsScale    = [...]string{"0", "0", "21", "47", "73", "99"}
	nameScale   = [...]string{"informational", "informational", "low", "medium", "high", "critical"}
)

func index(s agent.Severity) int {
	if s > agent.Critical {
		return int(agent.Critical)
	}
	return int(s)
}

// SyslogSeverity is the numerical severity of RFC 5424, where lower is worse.
// 0 and 1 are never used: they ring bells on consoles.
func SyslogSeverity(s agent.Severity) uint8 { return syslogScale[index(s)] }

// CEFSeverity is a decimal of CEF's 0 to 10. It also fits LEEF's 1 to 10.
func CEFSeverity(s agent.Severity) string { return cefScale[index(s)] }

// ECSSeverity is a decimal on the scale of Elastic's detection rules, 0 to 99.
func ECSSeverity(s agent.Severity) string { return ecsScale[index(s)] }

// SeverityName is one of the five names.
func SeverityName(s agent.Severity) string { return nameScale[index(s)] }
