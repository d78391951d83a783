// Columns, bars and trees of text: laid out first, painted after, so that colour never moves anything.
import { stripAnsi } from "./terminal.js";

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** Cells that a text takes; every glyph of ours takes one. */
export function textWidth(text: string): number {
  return [...stripAnsi(text)].length;
}

/** Cuts what is too long, with an ellipsis. */
export function shorten(text: string, width: number): string {
  const glyphs = [...text];
  return glyphs.length <= width ? text : `${glyphs.slice(0, width - 1).join("")}…`;
}

export function padRight(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - textWidth(text)));
}

export function padLeft(text: string, width: number): string {
  return " ".repeat(Math.max(0, width - textWidth(text))) + text;
}

/** A bar of `part` of `total`, in eighths of a cell; anything above nothing shows at least one eighth. */
export function bar(part: bigint, total: bigint, width: number): string {
  if (part <= 0n || total <= 0n) return "";
  const eighths = Math.max(1, Number((part * BigInt(width * 8) * 2n + total) / (total * 2n)));
  return "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] as string);
}

/** Words in lines no wider than `width`; a word that is wider keeps its own line, uncut. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && textWidth(last) + 1 + textWidth(word) <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}

/** A node of a tree to be drawn. */
export interface TreeNode<T> {
  readonly item: T;
  readonly children: readonly TreeNode<T>[];
}

/** Every node in drawing order with the branches before it (`│  ├─ `). Roots have none. */
export function treeRows<T>(
  roots: readonly TreeNode<T>[],
): { readonly branches: string; readonly item: T }[] {
  const rows: { branches: string; item: T }[] = [];
  const walk = (node: TreeNode<T>, branches: string, indent: string) => {
    rows.push({ branches, item: node.item });
    for (const [index, child] of node.children.entries()) {
      const last = index === node.children.length - 1;
      walk(child, `${indent}${last ? "└─ " : "├─ "}`, `${indent}${last ? "   " : "│  "}`);
    }
  };
  for (const root of roots) walk(root, "", "");
  return rows;
}
