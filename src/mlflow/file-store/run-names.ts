// Names for runs that were given none: two words and a number.
import { randomInt } from "node:crypto";

const QUALITIES =
  "amber ample brisk calm candid clear clever cosy crisp dapper deft eager early fair fleet fond gentle glad golden grand happy hardy honest humble jolly keen kind lively loyal lucid mellow merry mild neat nimble noble patient plucky polite proud quick quiet rapid ready serene sharp silent simple smart snug spry steady still sunny swift tidy vivid warm witty zesty".split(
    " ",
  );
const CREATURES =
  "ant badger bat bear bee bison boar crab crane crow deer dove duck eagle eel egret elk falcon ferret finch fox frog gecko goat goose gull hare hawk heron horse ibis jay kite koala lark lemur lion lynx mole moose moth newt orca otter owl panda perch pike puma quail raven robin seal shrew skink sloth snail stork swan tern tiger toad trout viper wolf wren yak zebra".split(
    " ",
  );

export function randomRunName(): string {
  const quality = QUALITIES[randomInt(QUALITIES.length)];
  return `${quality}-${CREATURES[randomInt(CREATURES.length)]}-${randomInt(1000)}`;
}
