// Regular expressions that admission uses, as text that Go and JavaScript read alike. Built from
// parts, so that a field and a list of such fields cannot differ.

const octet = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const ipv4 = `${octet}(\\.${octet}){3}`;
/**
 * Coarse on purpose: digits and colons. The exact form is checked by CEL `isIP` and `isCIDR` beside
 * it.
 */
const ipv6 = '[0-9a-fA-F:]*:[0-9a-fA-F:]*';
const ipv4Length = '(3[0-2]|[12]?[0-9])';
const ipv6Length = '(12[0-8]|1[01][0-9]|[1-9]?[0-9])';
const cidr4 = `${ipv4}/${ipv4Length}`;
const cidr6 = `${ipv6}/${ipv6Length}`;
const dnsLabel = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';

/** One address of either family. */
export const ADDRESS_PATTERN = `^(${ipv4}|${ipv6})$`;
/** One address, or nothing. */
export const ADDRESS_OR_EMPTY_PATTERN = `^(${ipv4}|${ipv6})?$`;
/** One block of either family. */
export const CIDR_PATTERN = `^(${cidr4}|${cidr6})$`;
/** One block, or nothing. */
export const CIDR_OR_EMPTY_PATTERN = `^(${cidr4}|${cidr6})?$`;
/** A block, or an address that stands for itself. */
export const CIDR_OR_ADDRESS_PATTERN = `^(${ipv4}(/${ipv4Length})?|${ipv6}(/${ipv6Length})?)$`;
/** Nothing, one block, or two of different families. */
export const SUBNET_PATTERN = `^(${cidr4}|${cidr6}|${cidr4},${cidr6}|${cidr6},${cidr4})?$`;
/** An address with the length of its network. */
export const INTERFACE_ADDRESS_PATTERN = CIDR_PATTERN;
/** Interface name as the kernel takes it (15 bytes are checked by length). */
export const INTERFACE_NAME_PATTERN = '^[^/:\\s]+$';
/** Name of a namespaced or cluster object (RFC 1123 subdomain). */
export const OBJECT_NAME_PATTERN = `^${dnsLabel}(\\.${dnsLabel})*$`;
/** Name of a namespace (RFC 1123 label). */
export const NAMESPACE_PATTERN = `^${dnsLabel}$`;
/**
 * PCI vendor or product, four hexadecimal digits; clouds use others too, so any short name is let
 * through.
 */
export const PCI_ID_PATTERN = '^(0[xX])?[0-9a-zA-Z]{1,8}$';
/** PCI address like 0000:10:00.0, or nothing. */
export const PCI_ADDRESS_PATTERN = '^([0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\\.[0-7])?$';
/** Executable name: a CNI plugin's `type`. */
export const EXECUTABLE_PATTERN = '^[a-zA-Z0-9][a-zA-Z0-9._-]*$';
/**
 * A JSON object, over one or several lines, or nothing. What is in it is checked by CEL and by the
 * controller.
 */
export const JSON_OBJECT_PATTERN = '^\\s*(\\{[\\s\\S]*\\})?\\s*$';
/** HTTP path of the daemon. */
export const URL_PATH_PATTERN = '^/[a-zA-Z0-9/_.-]*$';
