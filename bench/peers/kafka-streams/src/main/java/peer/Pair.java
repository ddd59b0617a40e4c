package peer;

/** Two payments that were joined: the output of the workload "join". */
public final class Pair {
  public long left;
  public long right;

  static Pair of(Payment left, Payment right) {
    Pair pair = new Pair();
    pair.left = left.id;
    pair.right = right.id;
    return pair;
  }
}
