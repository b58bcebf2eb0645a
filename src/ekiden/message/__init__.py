"""Content as octets (RFC 5322): header sections, trace fields, what submission completes, reports. Grade A."""
