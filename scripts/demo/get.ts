// `get URL [SOCKET]`: prints what a GET answers, for the demo's shell; a machine need not have curl.
import { argv, exit } from 'node:process';

const [url = '', unix] = argv.slice(2);
const response = await fetch(url, unix === undefined ? {} : { unix });
console.log(await response.text());
exit(response.ok ? 0 : 1);
