// The end of a text without a character that is repeated there. An expression such as /0+$/ looks at every run again from
// each of its places: a megabyte of zeros in front of a one would keep it for minutes.

export function withoutTrailing(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) end--;
  return text.slice(0, end);
}
