package peer;

/** A window that is closed: the output of the workloads "tumbling" and "session". */
public final class Counted {
  public long from;
  public long count;

  static Counted of(long from, long count) {
    Counted counted = new Counted();
    counted.from = from;
    counted.count = count;
    return counted;
  }
}
