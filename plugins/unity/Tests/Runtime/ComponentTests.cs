using System.Diagnostics;
using NUnit.Framework;
using UnityEngine;
using UnityEngine.UI;

namespace Llia.Tests
{
    /// <summary>What has to hold without a daemon; in Unity's Test Runner and against the fakes of tests/unity.</summary>
    [TestFixture]
    internal sealed class ComponentTests
    {
        private const string Nobody = "tcp://127.0.0.1:1";

        private GameObject m_connected;

        [SetUp]
        public void MakeAConnection()
        {
            m_connected = new GameObject("connection");
            m_connected.SetActive(false);
            m_connected.AddComponent<LliaConnection>().Endpoint = Nobody;
            m_connected.SetActive(true);
        }

        [TearDown]
        public void RemoveIt()
        {
            Object.DestroyImmediate(m_connected);
        }

        [Test]
        public void AnAvatarWorksWithoutADaemonAndTellsWhatIsWrong()
        {
            var made = new GameObject("avatar", typeof(RectTransform), typeof(RawImage));
            var avatar = made.AddComponent<LliaAvatar>();
            avatar.RawImage = made.GetComponent<RawImage>();
            Assert.IsFalse(avatar.IsOpen);
            Assert.That(avatar.Push(new float[480], 48000), Is.EqualTo(480), "speech waits for the daemon");
            avatar.Stop();
            avatar.SetExpression("happy");
            StringAssert.Contains("llia run", avatar.Problem);
            Object.DestroyImmediate(made);
        }

        [Test]
        public void ComponentsGoAtOnce()
        {
            var made = new GameObject("avatar").AddComponent<LliaAvatar>().gameObject;
            var watch = Stopwatch.StartNew();
            Object.DestroyImmediate(made);
            m_connected.SetActive(false);
            Assert.That(watch.ElapsedMilliseconds, Is.LessThan(2500));
            Assert.IsNull(m_connected.GetComponent<LliaConnection>().Client);
            Assert.IsNull(LliaConnection.Current);
        }

        [Test]
        public void TheFirstConnectionIsTheScenes()
        {
            Assert.AreSame(m_connected.GetComponent<LliaConnection>(), LliaConnection.Current);
            m_connected.SetActive(false);
            Assert.IsNull(LliaConnection.Current);
            m_connected.SetActive(true);
            Assert.IsNotNull(LliaConnection.Current.Client);
        }
    }
}
