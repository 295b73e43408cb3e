import java.lang.reflect.Constructor;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Scanner;
import kafka.common.TopicAndPartition;
import kafka.consumer.AssignmentContext;
import kafka.consumer.ConsumerThreadId;
import kafka.consumer.PartitionAssignor;
import kafka.consumer.PartitionAssignor$;
import kafka.utils.Pool;
import org.I0Itec.zkclient.ZkClient;
import org.I0Itec.zkclient.serialize.ZkSerializer;
import scala.collection.JavaConversions;

/**
 * Says how Kafka's own high-level consumer would share out a group that is there, by its own classes.
 *
 * <p>Arguments: ZooKeeper, group, "range" or "roundrobin". For each line of its stdin, which is the name
 * of a member, it prints the member's partitions, one a line as "topic partition thread", and then ".".
 */
public final class Assignment {
  public static void main(String[] arguments) throws Exception {
    ZkClient zookeeper = new ZkClient(arguments[0], 30000, 30000, new Text());
    PartitionAssignor assignor = PartitionAssignor$.MODULE$.createInstance(arguments[2]);
    Scanner members = new Scanner(System.in, StandardCharsets.UTF_8);
    while (members.hasNextLine()) {
      String member = members.nextLine();
      Object assigned = assignor.assign(context(arguments[1], member, zookeeper));
      for (Map.Entry<TopicAndPartition, ConsumerThreadId> entry : of(member, assigned).entrySet()) {
        TopicAndPartition partition = entry.getKey();
        System.out.println(
            partition.topic() + " " + partition.partition() + " " + entry.getValue());
      }
      System.out.println(".");
      System.out.flush();
    }
    System.exit(0);
  }

  /** 0.8 reads from a ZkClient, 0.9 from its own ZkUtils around one. */
  private static AssignmentContext context(String group, String member, ZkClient zookeeper)
      throws ReflectiveOperationException {
    Constructor<?> constructor = AssignmentContext.class.getConstructors()[0];
    Class<?> reader = constructor.getParameterTypes()[3];
    Object from = zookeeper;
    if (reader != ZkClient.class) {
      from = reader.getMethod("apply", ZkClient.class, boolean.class).invoke(null, zookeeper, false);
    }
    return (AssignmentContext) constructor.newInstance(group, member, true, from);
  }

  /** 0.8 answers with the member's own partitions, 0.9 with everybody's. */
  @SuppressWarnings("unchecked")
  private static Map<TopicAndPartition, ConsumerThreadId> of(String member, Object assigned) {
    if (assigned instanceof Pool) {
      assigned = ((Pool<String, Object>) assigned).get(member);
    }
    return JavaConversions.mapAsJavaMap(
        (scala.collection.Map<TopicAndPartition, ConsumerThreadId>) assigned);
  }

  /** Kafka's nodes are UTF-8. */
  private static final class Text implements ZkSerializer {
    @Override
    public byte[] serialize(Object text) {
      return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public Object deserialize(byte[] bytes) {
      return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }
  }
}
