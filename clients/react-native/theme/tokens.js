// The measures and colours that everything is made of. Texts have a contrast of at least 4.5 on what they stand on.

export const space = { xs: 4, s: 8, m: 12, l: 16, xl: 24, xxl: 40 };

export const radius = { s: 8, m: 12, l: 18, round: 999 };

/** The least that a finger hits. */
export const TOUCH = 44;

export const text = {
  title: { fontSize: 24, lineHeight: 30, fontWeight: '700', letterSpacing: -0.4 },
  heading: { fontSize: 17, lineHeight: 22, fontWeight: '600', letterSpacing: -0.2 },
  body: { fontSize: 16, lineHeight: 22, fontWeight: '400' },
  label: { fontSize: 14, lineHeight: 20, fontWeight: '600' },
  small: { fontSize: 13, lineHeight: 18, fontWeight: '400' },
  tiny: { fontSize: 11, lineHeight: 14, fontWeight: '600' },
  number: { fontSize: 30, lineHeight: 36, fontWeight: '700', letterSpacing: -0.8, fontVariant: ['tabular-nums'] },
};

export const light = {
  background: '#F5F6FA',
  surface: '#FFFFFF',
  sunken: '#ECEEF4',
  border: '#E1E4EC',
  text: '#12151C',
  muted: '#5A6271',
  primary: '#4B48E0',
  onPrimary: '#FFFFFF',
  primarySoft: '#EBEBFD',
  pass: '#147A43',
  passSoft: '#E2F5EA',
  warn: '#96560A',
  warnSoft: '#FDF1DC',
  fail: '#C0261F',
  failSoft: '#FDE9E7',
  onFail: '#FFFFFF',
  shade: 'rgba(15, 18, 28, 0.45)',
};

export const dark = {
  background: '#0C0E13',
  surface: '#161922',
  sunken: '#20242F',
  border: '#282D3A',
  text: '#ECEEF3',
  muted: '#9BA4B4',
  primary: '#A5A4FF',
  onPrimary: '#14123F',
  primarySoft: '#25264A',
  pass: '#5FD394',
  passSoft: '#12301F',
  warn: '#F0B45A',
  warnSoft: '#352711',
  fail: '#FF8F87',
  failSoft: '#3B1917',
  onFail: '#3A0A07',
  shade: 'rgba(0, 0, 0, 0.6)',
};

/** Behind the initials of people: dark enough for white in both themes. */
export const avatars = ['#5B55D6', '#B0407A', '#0E7C86', '#A85414', '#3F7A2E', '#7A4BB8', '#2C6DB5', '#B23B3B'];
