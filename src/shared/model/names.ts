// Fixed names that users, other programs or stored objects know. They are spelled here once;
// changing one is a change of the interface.

/** API group and version of our own kinds. */
export const GROUP = 'multinic.fms.io';
export const VERSION = 'v1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** Finalizers of the original; ours are the same, so objects taken over keep being cleaned up. */
export const NETWORK_FINALIZER = 'finalizers.multinicnetwork.multinic.fms.io';
export const CIDR_FINALIZER = 'finalizers.cidr.multinic.fms.io';
export const IP_POOL_FINALIZER = 'finalizers.ippool.multinic.fms.io';
export const HOST_INTERFACE_FINALIZER = 'finalizers.hostinterface.multinic.fms.io';
export const CONFIG_FINALIZER = 'finalizers.config.multinic.fms.io';

/** Labels of an IPPool: the node that owns it and the network it belongs to. */
export const HOST_NAME_LABEL = 'hostname';
export const NETWORK_NAME_LABEL = 'netname';
/** Longest value of a label. */
export const LABEL_CHARS_MAX = 63;
/**
 * On a HostInterface, value `true`: written by a user; no program of ours changes its spec or
 * deletes it.
 */
export const UNMANAGED_LABEL = 'multi-nic-unmanaged';
/** On a HostInterface, any value: it stays although there is no such node. */
export const TEST_MODE_LABEL = 'test-mode';
/** On everything generated from a network, value `true`. */
export const GENERATED_LABEL = 'multi-nic-cni-generated';
/** Selects the daemon's pods. */
export const DAEMON_APP_LABEL = 'app';
export const DAEMON_APP = 'multi-nicd';
/** On daemon pods, written by the original after a greeting. */
export const DAEMON_JOIN_LABEL = 'multi-nicd-join';

/** On a NetworkAttachmentDefinition: the device plugin's resources, comma separated. */
export const RESOURCE_NAME_ANNOTATION = 'k8s.v1.cni.cncf.io/resourceName';
/** On a pod: what Multus attached, and the spelling that ended with Multus 4. */
export const NETWORK_STATUS_ANNOTATION = 'k8s.v1.cni.cncf.io/network-status';
export const NETWORKS_STATUS_ANNOTATION = 'k8s.v1.cni.cncf.io/networks-status';
/** On a pod: which networks it wants. */
export const NETWORKS_ANNOTATION = 'k8s.v1.cni.cncf.io/networks';
/** On our own objects: `true` where the object was computed by the original and taken over. */
export const TAKEN_OVER_ANNOTATION = 'multinic.fms.io/taken-over';

/** Where things are on a node. */
export const DAEMON_PORT = 11000;
export const SOCKET_PATH = '/run/multi-nic/daemon.sock';
export const SPOOL_PATH = '/run/multi-nic/spool';
export const STATE_PATH = '/var/lib/multi-nic';

/** Where things are in the cluster. */
export const OPERATOR_NAMESPACE = 'multi-nic-cni-operator';
export const CONFIG_NAME = 'multi-nicd';
export const DAEMON_SET_NAME = 'multi-nicd';
export const LEASE_NAME = 'multi-nic-controller';
export const LEDGER_NAME_PREFIX = 'multi-nic-ledger.';
/** On ledgers, so that no other ConfigMap is watched. */
export const LEDGER_LABEL = 'multinic.fms.io/ledger';
/** Key of the ledger in its ConfigMap. */
export const LEDGER_KEY = 'ledger.json';
export const SRIOV_NAMESPACE = 'openshift-sriov-network-operator';
export const SRIOV_RESOURCE_PREFIX = 'openshift.io';
export const SRIOV_NODE_SELECTOR = 'feature.node.kubernetes.io/network-sriov.capable';
export const SRIOV_NETWORK_SUFFIX = '-net';

/** Marks our routes in the kernel (rtm_protocol), so that "desired minus actual" is exact. */
export const ROUTE_PROTOCOL = 77;
/**
 * Link groups of attachments are this number plus a count below LINK_GROUP_COUNT. Group 0 is the
 * kernel's default, and small numbers are what administrators use.
 */
export const LINK_GROUP_BASE = 0x4d00_0000;
export const LINK_GROUP_COUNT = 0x0100_0000;

/**
 * Values of `type` in CNI configurations: the plugin's and the IPAM's that stands for our own
 * pools.
 */
export const CNI_TYPE = 'multi-nic';
export const IPAM_TYPE = 'multi-nic-ipam';
export const AWS_IPVLAN_TYPE = 'aws-ipvlan';
/** CNI version at the top of every NetworkAttachmentDefinition that the original generated. */
export const NAD_CNI_VERSION = '0.3.0';

/** Owners of fields in server-side apply. */
export const FIELD_MANAGER_CONTROLLER = 'multi-nic-controller';
export const FIELD_MANAGER_DAEMON = 'multi-nicd';

/** Where the controller answers health probes. */
export const HEALTH_PORT = 8083;
