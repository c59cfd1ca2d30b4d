package cef

import (
	"fmt"
	"strings"
)

type valueType uint8

const (
	text valueType = iota
	integer
	port
	decimal
	ipv4
	ipv6
	mac
	date // milliseconds since 1970
)

// A key of the CEF dictionary: what it holds and at most how many characters of it.
type key struct {
	typ   valueType
	limit int
}

// producerKeys are the keys that a product may send, by their short names (CEF
// Implementation Standard 27, extension dictionary).
var producerKeys = map[string]key{
	"act": {text, 63}, "app": {text, 31}, "c6a1": {ipv6, 0}, "c6a3": {ipv6, 0}, "c6a4": {ipv6, 0},
	"cat": {text, 1023}, "cfp1": {decimal, 0}, "cfp2": {decimal, 0}, "cfp3": {decimal, 0}, "cfp4": {decimal, 0},
	"cn1": {integer, 0}, "cn2": {integer, 0}, "cn3": {integer, 0}, "cnt": {integer, 0},
	"cs1": {text, 4000}, "cs2": {text, 4000}, "cs3": {text, 4000}, "cs4": {text, 4000}, "cs5": {text, 4000}, "cs6": {text, 4000},
	"destinationDnsDomain": {text, 255}, "destinationServiceName": {text, 1023}, "destinationTranslatedAddress": {ipv4, 0},
	"destinationTranslatedPort": {port, 0}, "deviceCustomDate1": {date, 0}, "deviceCustomDate2": {date, 0},
	"deviceDirection": {integer, 0}, "deviceDnsDomain": {text, 255}, "deviceExternalId": {text, 255},
	"deviceFacility": {text, 1023}, "deviceInboundInterface": {text, 128}, "deviceNtDomain": {text, 255},
	"deviceOutboundInterface": {text, 128}, "devicePayloadId": {text, 128}, "deviceProcessName": {text, 1023},
	"deviceTranslatedAddress": {ipv4, 0}, "dhost": {text, 1023}, "dmac": {mac, 0}, "dntdom": {text, 255}, "dpid": {integer, 0},
	"dpriv": {text, 1023}, "dproc": {text, 1023}, "dpt": {port, 0}, "dst": {ipv4, 0}, "dtz": {text, 255},
	"duid": {text, 1023}, "duser": {text, 1023}, "dvc": {ipv4, 0}, "dvchost": {text, 100}, "dvcmac": {mac, 0}, "dvcpid": {integer, 0},
	"end": {date, 0}, "externalId": {text, 40}, "fileCreateTime": {date, 0}, "fileHash": {text, 255}, "fileId": {text, 1023},
	"fileModificationTime": {date, 0}, "filePath": {text, 1023}, "filePermission": {text, 1023}, "fileType": {text, 1023},
	"flexDate1": {date, 0}, "flexString1": {text, 1023}, "flexString2": {text, 1023}, "fname": {text, 1023}, "fsize": {integer, 0},
	"in": {integer, 0}, "msg": {text, 1023}, "oldFileCreateTime": {date, 0}, "oldFileHash": {text, 255}, "oldFileId": {text, 1023},
	"oldFileModificationTime": {date, 0}, "oldFileName": {text, 1023}, "oldFilePath": {text, 1023},
	"oldFilePermission": {text, 1023}, "oldFileSize": {integer, 0}, "oldFileType": {text, 1023}, "out": {integer, 0},
	"outcome": {text, 63}, "proto": {text, 31}, "reason": {text, 1023}, "request": {text, 1023},
	"requestClientApplication": {text, 1023}, "requestContext": {text, 2048}, "requestCookies": {text, 1023},
	"requestMethod": {text, 1023}, "rt": {date, 0}, "shost": {text, 1023}, "smac": {mac, 0}, "sntdom": {text, 255},
	"sourceDnsDomain": {text, 255}, "sourceServiceName": {text, 1023}, "sourceTranslatedAddress": {ipv4, 0},
	"sourceTranslatedPort": {port, 0}, "spid": {integer, 0}, "spriv": {text, 1023}, "sproc": {text, 1023}, "spt": {port, 0},
	"src": {ipv4, 0}, "start": {date, 0}, "suid": {text, 1023}, "suser": {text, 1023}, "type": {integer, 0},
}

// Keys of CEF 1.2, for version 1 only.
var laterKeys = map[string]key{
	"frameworkName": {text, 256}, "threatAttackID": {text, 32}, "threatActor": {text, 40}, "reportedDuration": {integer, 0},
	"reportedResourceGroupName": {text, 128}, "reportedResourceID": {text, 256}, "reportedResourceName": {text, 64},
	"reportedResourceType": {text, 64},
}

// profileKeys are written by the codec itself.
const profileKeys = " rt externalId deviceExternalId dvchost cat outcome msg frameworkName threatAttackID" +
	" cs1 cs2 cs3 cs4 cs5 cn1 cn2 cn3 cfp1 cfp2 cfp3 cfp4 "

// consumerKeys are filled in by the receiving side only.
const consumerKeys = " agt ahost aid amac art at atz av customerExternalID customerURI eventId rawEvent slat slong dlat dlong "

// lookUp finds what the key name holds, or why it cannot be used.
func lookUp(name string, version int) (key, error) {
	padded := " " + name + " "
	if k, ok := laterKeys[name]; ok && version == 0 && !strings.Contains(profileKeys, padded) {
		return k, fmt.Errorf("%s belongs to cef_version 1", name)
	}
	switch {
	case name == "" || strings.Trim(name, alphanumeric) != "":
		return key{}, fmt.Errorf("%q is no key: letters and digits only", name)
	case strings.Contains(profileKeys, padded):
		return key{}, fmt.Errorf("%s is filled in already", name)
	case strings.Contains(consumerKeys, padded), strings.HasPrefix(name, "agent"),
		strings.HasSuffix(name, "ZoneURI"), strings.HasSuffix(name, "ZoneExternalID"):
		return key{}, fmt.Errorf("%s is for the receiving side only", name)
	case strings.HasSuffix(name, "Label"):
		return key{}, fmt.Errorf("%s goes with its field: give it as the label", name)
	}
	if k, ok := producerKeys[name]; ok {
		return k, nil
	}
	if k, ok := laterKeys[name]; ok {
		return k, nil
	}
	return key{text, 1023}, nil // a key of the vendor's own
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// labelLimit is how long the label of a custom field can be; 0: name has none.
func labelLimit(name string) int {
	switch {
	case strings.HasPrefix(name, "flex"):
		return 128
	case strings.HasPrefix(name, "cs"), strings.HasPrefix(name, "cn") && name != "cnt",
		strings.HasPrefix(name, "cfp"), strings.HasPrefix(name, "c6a"), strings.HasPrefix(name, "deviceCustomDate"):
		if _, ok := producerKeys[name]; ok {
			return 1023
		}
	}
	return 0
}
