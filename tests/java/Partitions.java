import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Scanner;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.utils.Utils;

/**
 * Appends to each line of its stdin, of which the first word is a key in hexadecimal digits, what the Java
 * producer on its class path makes of the key: its murmur2, and its partition of 1, 2, 7, 8 and 64.
 *
 * <p>The lines come from partitions.py, which says more.
 */
public final class Partitions {
  private static final String TOPIC = "orders";

  public static void main(String[] arguments) throws Exception {
    Partitioner partitioner = partitioner();
    Scanner lines = new Scanner(System.in, StandardCharsets.US_ASCII);
    while (lines.hasNextLine()) {
      String line = lines.nextLine();
      String digits = line.split(" ")[0];
      byte[] key = digits.equals("\"\"") ? new byte[0] : HexFormat.of().parseHex(digits);
      StringBuilder appended = new StringBuilder(line).append(' ').append(Utils.murmur2(key));
      for (int count : new int[] {1, 2, 7, 8, 64}) {
        appended.append(' ').append(partitioner.partition(key, cluster(count)));
      }
      System.out.println(appended);
    }
  }

  private interface Partitioner {
    int partition(byte[] key, Cluster cluster) throws Exception;
  }

  /** 0.8 and 0.9 have classes of other names and arguments. */
  private static Partitioner partitioner() throws Exception {
    String internals = "org.apache.kafka.clients.producer.internals.";
    try {
      Object of09 = create(internals + "DefaultPartitioner");
      Method partition = method(of09);
      return (key, cluster) ->
          (Integer) partition.invoke(of09, TOPIC, key, key, key, key, cluster);
    } catch (ClassNotFoundException none) {
      Object of08 = create(internals + "Partitioner");
      Method partition = method(of08);
      return (key, cluster) ->
          (Integer) partition.invoke(of08, new ProducerRecord<>(TOPIC, key, key), cluster);
    }
  }

  private static Object create(String name) throws Exception {
    return Class.forName(name).getConstructor().newInstance();
  }

  private static Method method(Object partitioner) throws Exception {
    for (Method method : partitioner.getClass().getMethods()) {
      if (method.getName().equals("partition")) {
        return method;
      }
    }
    throw new NoSuchMethodException("partition");
  }

  private static Cluster cluster(int partitions) throws Exception {
    Node node = new Node(0, "127.0.0.1", 9092);
    Node[] nodes = {node};
    List<PartitionInfo> infos = new ArrayList<>();
    for (int partition = 0; partition < partitions; partition++) {
      infos.add(new PartitionInfo(TOPIC, partition, node, nodes, nodes));
    }
    Constructor<?> constructor = Cluster.class.getConstructors()[0];
    Object[] arguments = {List.of(node), infos, Collections.emptySet()};
    int count = constructor.getParameterCount();
    return (Cluster) constructor.newInstance(Arrays.copyOf(arguments, count));
  }
}
