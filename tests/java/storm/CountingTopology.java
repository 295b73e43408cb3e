import java.util.Collections;
import java.util.Map;
import java.util.Scanner;
import org.apache.storm.Config;
import org.apache.storm.LocalCluster;
import org.apache.storm.generated.KillOptions;
import org.apache.storm.spout.ShellSpout;
import org.apache.storm.task.OutputCollector;
import org.apache.storm.task.TopologyContext;
import org.apache.storm.topology.IRichSpout;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.topology.base.BaseRichBolt;
import org.apache.storm.tuple.Fields;
import org.apache.storm.tuple.Tuple;

/**
 * A topology in Storm's local mode: parallel spouts that are processes, and bolts that print what they get. One in so many tuples
 * fails. Standard input takes the orders {@code deactivate} and {@code activate}; at its end the topology is killed.
 *
 * <p>Arguments: the number of spouts, one in how many tuples fails (0 for none), and the spout's command.
 */
public class CountingTopology {
  static final String NAME = "counting";

  public static void main(String[] arguments) throws Exception {
    int spouts = Integer.parseInt(arguments[0]);
    int failures = Integer.parseInt(arguments[1]);
    String[] command = java.util.Arrays.copyOfRange(arguments, 2, arguments.length);
    TopologyBuilder builder = new TopologyBuilder();
    builder.setSpout("numbers", new Numbers(command), spouts);
    builder.setBolt("printer", new Printer(failures), 2).shuffleGrouping("numbers");
    Config config = new Config();
    config.setMaxSpoutPending(500);
    config.setMessageTimeoutSecs(30);

    LocalCluster cluster = new LocalCluster();
    cluster.submitTopology(NAME, config, builder.createTopology());
    say("submitted");
    Scanner orders = new Scanner(System.in);
    while (orders.hasNextLine()) {
      String order = orders.nextLine();
      if (order.equals("deactivate")) {
        cluster.deactivate(NAME);
      } else {
        cluster.activate(NAME);
      }
      say(order + "d");
    }
    KillOptions options = new KillOptions();
    options.set_wait_secs(0);
    cluster.killTopologyWithOpts(NAME, options);
    cluster.shutdown();
    System.exit(0);
  }

  static void say(String line) {
    synchronized (System.out) {
      System.out.println(line);
    }
  }

  /** The spout under test, as its documentation shows it. */
  static class Numbers extends ShellSpout implements IRichSpout {
    Numbers(String[] command) {
      super(command);
    }

    @Override
    public void declareOutputFields(OutputFieldsDeclarer to) {
      to.declare(new Fields("topic", "partition", "offset", "key", "value"));
    }

    @Override
    public Map<String, Object> getComponentConfiguration() {
      return Collections.emptyMap();
    }
  }

  /** Prints each tuple before it says of it what it prints. */
  static class Printer extends BaseRichBolt {
    private final int failures;
    private OutputCollector collector;
    private int seen;

    Printer(int failures) {
      this.failures = failures;
    }

    @Override
    public void prepare(Map conf, TopologyContext context, OutputCollector collector) {
      this.collector = collector;
    }

    @Override
    public void execute(Tuple tuple) {
      seen++;
      boolean fails = failures > 0 && seen % failures == 0;
      say((fails ? "fail " : "ack ") + tuple.getValueByField("partition") + " " + tuple.getValueByField("offset")
          + " " + tuple.getStringByField("value"));
      if (fails) {
        collector.fail(tuple);
      } else {
        collector.ack(tuple);
      }
    }

    @Override
    public void declareOutputFields(OutputFieldsDeclarer to) {}
  }
}
