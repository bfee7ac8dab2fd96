using System;
using Llia.Core;
using NUnit.Framework;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class MsgpackTests
    {
        private readonly MsgpackWriter m_writer = new MsgpackWriter();

        private MsgpackReader Written()
        {
            var reader = new MsgpackReader();
            reader.Reset(m_writer.Buffer, 0, m_writer.Count);
            return reader;
        }

        [SetUp]
        public void Clear()
        {
            m_writer.Clear();
        }

        [TestCase(0L)]
        [TestCase(127L)]
        [TestCase(128L)]
        [TestCase(255L)]
        [TestCase(256L)]
        [TestCase(65536L)]
        [TestCase(4294967296L)]
        [TestCase(long.MaxValue)]
        [TestCase(-1L)]
        [TestCase(-32L)]
        [TestCase(-33L)]
        [TestCase(-129L)]
        [TestCase(-32769L)]
        [TestCase(-2147483649L)]
        [TestCase(long.MinValue)]
        public void IntegersSurvive(long value)
        {
            m_writer.Int(value);
            Assert.AreEqual(value, Written().ReadInt());
        }

        [TestCase(0.0)]
        [TestCase(-1.5)]
        [TestCase(1e300)]
        public void DoublesSurvive(double value)
        {
            m_writer.Double(value);
            Assert.AreEqual(value, Written().ReadNumber());
        }

        [TestCase(0f)]
        [TestCase(1f)]
        [TestCase(-0.1f)]
        [TestCase(1e-42f)]
        [TestCase(3.4e38f)]
        public void SinglesAreRead(float value)
        {
            var bytes = BitConverter.GetBytes(value);
            Array.Reverse(bytes);
            var packed = new byte[] { 0xca, bytes[0], bytes[1], bytes[2], bytes[3] };
            var reader = new MsgpackReader();
            reader.Reset(packed, 0, packed.Length);
            Assert.AreEqual((double)value, reader.ReadNumber());
        }

        [TestCase(0)]
        [TestCase(31)]
        [TestCase(32)]
        [TestCase(255)]
        [TestCase(256)]
        [TestCase(70000)]
        public void TextsSurvive(int length)
        {
            var text = new string('ü', length / 2) + new string('a', length % 2);
            m_writer.Text(text);
            Assert.AreEqual(text, Written().ReadText().ToText());
        }

        [TestCase(-1L, "")]
        [TestCase(0L, "0")]
        [TestCase(1234567890123L, "1234567890123")]
        public void NumbersAreWrittenAsText(long value, string shown)
        {
            m_writer.NumberAsText(value);
            var text = Written().ReadText();
            Assert.AreEqual(shown, text.ToText());
            Assert.AreEqual(value, text.ToNumber());
        }

        [Test]
        public void ANumberOutOfItsBoundsIsRefusedWithItsName()
        {
            m_writer.Int(9000);
            var error = Assert.Throws<MalformedMessageException>(() => Written().ReadInt(1, 8192, "width"));
            StringAssert.Contains("width is 9000", error.Message);
        }

        [Test]
        public void SizesThatTheMessageCannotHoldAreRefused()
        {
            foreach (var packed in new[]
            {
                new byte[] { 0xdf, 0xff, 0xff, 0xff, 0xff }, new byte[] { 0xdd, 0x7f, 0xff, 0xff, 0xff },
                new byte[] { 0xdb, 0xff, 0xff, 0xff, 0xff, 0x61 }, new byte[] { 0xc6, 0xff, 0xff, 0xff, 0xff },
                new byte[] { 0xc9, 0xff, 0xff, 0xff, 0xff, 0x01 }, new byte[] { 0x8f }, new byte[0],
            })
            {
                var reader = new MsgpackReader();
                reader.Reset(packed, 0, packed.Length);
                Assert.Throws<MalformedMessageException>(reader.Skip);
            }
        }

        [Test]
        public void NestingEnds()
        {
            var packed = new byte[1000];
            for (var i = 0; i < packed.Length; i++)
            {
                packed[i] = 0x91;
            }
            var reader = new MsgpackReader();
            reader.Reset(packed, 0, packed.Length);
            Assert.Throws<MalformedMessageException>(reader.Skip);
        }

        [Test]
        public void InvalidUtf8IsRefused()
        {
            var packed = new byte[] { 0xa2, 0xc3, 0x28 };
            var reader = new MsgpackReader();
            reader.Reset(packed, 0, packed.Length);
            Assert.Throws<MalformedMessageException>(() => reader.ReadText().ToText());
        }

        [Test]
        public void RandomBytesAreReadOrRefusedAndNothingElse()
        {
            var random = new Random(1);
            var reader = new MsgpackReader();
            var messages = new WireMessage[]
            {
                new FrameHeader(), new EchoHeader(), new BlendshapesHeader(), new EventHeader(), new StatisticsMessage(),
                new WelcomeReply(), new AvatarReply(), new ErrorReply(), new OkReply(), new PongReply(),
            };
            var refused = 0;
            for (var i = 0; i < 60000; i++)
            {
                var packed = new byte[random.Next(64)];
                random.NextBytes(packed);
                if (packed.Length > 0 && i % 2 == 0)
                {
                    packed[0] = (byte)(0x80 | random.Next(16)); // get past the first byte
                }
                reader.Reset(packed, 0, packed.Length);
                try
                {
                    messages[i % messages.Length].Read(reader);
                }
                catch (MalformedMessageException)
                {
                    refused++;
                }
            }
            Assert.That(refused, Is.GreaterThan(50000));
        }

        [Test]
        public void AMessageCutAnywhereOrChangedAnywhereIsReadOrRefused()
        {
            Requests.Audio(m_writer, 12, "avatar-1", "u-1", 48000, 1, true, 480, true, false, false);
            var whole = m_writer.ToArray();
            var reader = new MsgpackReader();
            var random = new Random(2);
            var refused = 0;
            for (var i = 0; i < 20000; i++)
            {
                var packed = (byte[])whole.Clone();
                packed[random.Next(packed.Length)] = (byte)random.Next(256);
                reader.Reset(packed, 0, i % 2 == 0 ? packed.Length : random.Next(packed.Length));
                try
                {
                    long version;
                    WireMessage.PeekType(reader, out version);
                    new EchoHeader().Read(reader);
                }
                catch (MalformedMessageException)
                {
                    refused++;
                }
            }
            Assert.That(refused, Is.GreaterThan(5000));
        }

        [Test]
        public void UnknownFieldsArePassedOver()
        {
            m_writer.Map(3);
            m_writer.Text("of_a_later_version");
            m_writer.Map(1);
            m_writer.Text("a");
            m_writer.Array(2);
            m_writer.Double(1);
            m_writer.Bool(true);
            m_writer.Text("width");
            m_writer.Int(5);
            m_writer.Text("type");
            m_writer.Text("frame");
            var header = new FrameHeader();
            header.Read(Written());
            Assert.AreEqual(5, header.Width);
            Assert.AreEqual("", header.UtteranceId);
        }
    }
}
