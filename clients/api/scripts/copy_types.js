// tsc writes declarations of what is JavaScript; this one is a declaration already.

import { copyFileSync } from 'node:fs';

copyFileSync('lib/openapi.d.ts', 'types/lib/openapi.d.ts');
